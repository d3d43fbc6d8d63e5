// Pinned memory of the host through which bytes go to and from a device that has memory of its own.

#if OpenCL
import CMoEOpenCL
import MoEPlacement

/// Two buffers that take turns: one is filled or read while what the other holds is on its way. Used on the device's thread alone.
struct Staging {
  private struct Half {
    let memory: cl_mem, address: UnsafeMutableRawPointer, byteCount: Int
    /// The transfer that it was last used for.
    var transfer: cl_event?
  }

  private var halves: [Half?] = [nil, nil]
  private var turn = 0

  /// Sends pieces of `size` bytes, which `fill` writes one after the other, to `target`; commands enqueued later see them.
  mutating func send(
    _ pieces: Int, of size: Int, to target: cl_mem, at offset: Int, in context: OpenCLContext, _ fill: (UnsafeMutableRawPointer, Int) -> Void
  ) throws(OpenCLError) {
    let step = Self.piecesAtOnce(size, context)
    for first in stride(from: 0, to: pieces, by: step) {
      let count = min(step, pieces - first), address = try free(step * size, in: context)
      for piece in 0..<count { fill(address + piece * size, first + piece) }
      try context.check(
        "clEnqueueWriteBuffer",
        clEnqueueWriteBuffer(
          context.queue, target, cl_bool(CL_FALSE), offset + first * size, count * size, address, 0, nil, &halves[turn]!.transfer),
        "\(count * size) bytes")
      try context.check("clFlush", clFlush(context.queue))
    }
  }

  /// Fetches pieces of `size` bytes from `source`, once all commands before have ended, and shows them to `read` one after the other.
  mutating func fetch(
    _ pieces: Int, of size: Int, from source: cl_mem, in context: OpenCLContext, _ read: (UnsafeRawPointer, Int) -> Void
  ) throws(OpenCLError) {
    let step = Self.piecesAtOnce(size, context)
    var coming = 0..<0
    for first in stride(from: 0, to: pieces + step, by: step) {
      let arrived = coming, half = turn
      coming = min(first, pieces)..<min(first + step, pieces)
      if !coming.isEmpty {
        let address = try free(step * size, in: context)
        try context.check(
          "clEnqueueReadBuffer",
          clEnqueueReadBuffer(
            context.queue, source, cl_bool(CL_FALSE), coming.lowerBound * size, coming.count * size, address, 0, nil, &halves[turn]!.transfer),
          "\(coming.count * size) bytes")
        try context.check("clFlush", clFlush(context.queue))
      }
      guard !arrived.isEmpty else { continue }
      try end(half, in: context)
      for piece in arrived { read(halves[half]!.address + (piece - arrived.lowerBound) * size, piece) }
    }
  }

  func release() {
    for case let half? in halves {
      if let transfer = half.transfer { clReleaseEvent(transfer) }
      clReleaseMemObject(half.memory)
    }
  }

  private static func piecesAtOnce(_ size: Int, _ context: OpenCLContext) -> Int { max(1, context.stagingBytes / max(1, size)) }

  /// Makes it the turn of the other buffer, which has room for `byteCount` bytes and no transfer under way.
  private mutating func free(_ byteCount: Int, in context: OpenCLContext) throws(OpenCLError) -> UnsafeMutableRawPointer {
    turn = 1 - turn
    try end(turn, in: context)
    if let half = halves[turn] {
      if half.byteCount >= byteCount { return half.address }
      halves[turn] = nil
      context.release("clReleaseMemObject") { clReleaseMemObject(half.memory) }
    }
    let byteCount = max(byteCount, context.stagingBytes)
    let memory = try context.make("clCreateBuffer", "\(byteCount) bytes of staging") {
      clCreateBuffer(context.context, cl_mem_flags(CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR), byteCount, nil, &$0)
    }
    var event: cl_event?
    let address = try context.make("clEnqueueMapBuffer", "\(byteCount) bytes of staging") {
      clEnqueueMapBuffer(
        context.queue, memory, cl_bool(CL_FALSE), cl_map_flags(CL_MAP_READ | CL_MAP_WRITE), 0, byteCount, 0, nil, &event, &$0)
    }
    halves[turn] = Half(memory: memory, address: address, byteCount: byteCount, transfer: event)
    try context.check("clFlush", clFlush(context.queue))
    try end(turn, in: context)
    return address
  }

  private mutating func end(_ half: Int, in context: OpenCLContext) throws(OpenCLError) {
    guard let transfer = halves[half]?.transfer else { return }
    halves[half]!.transfer = nil
    try context.wait(for: transfer)
  }
}
#endif
