// Memory of a device: of its own, or the host's where both share it.

#if OpenCL
import CMoEOpenCL
import MoEPlacement

/// A buffer; given back with the object unless the device is lost: then it stays, and what it lies in too.
final class DeviceBuffer: @unchecked Sendable {
  let memory: cl_mem
  let byteCount: Int
  private let context: OpenCLContext
  private let owner: AnyObject?

  /// `byteCount` bytes that host and device write.
  init(_ byteCount: Int, in context: OpenCLContext) throws(OpenCLError) {
    let byteCount = max(byteCount, 64)
    try context.take(byteCount)
    do throws(OpenCLError) {
      memory = try Self.make(CL_MEM_READ_WRITE | (context.usesHostMemory ? CL_MEM_ALLOC_HOST_PTR : 0), byteCount, nil, in: context)
    } catch {
      context.giveBack(byteCount)
      throw error
    }
    (self.byteCount, self.context, owner) = (byteCount, context, nil)
  }

  /// The host's bytes as they lie, for reading only; `owner` keeps them.
  init(borrowing bytes: UnsafeRawBufferPointer, owner: AnyObject, in context: OpenCLContext) throws(OpenCLError) {
    memory = try Self.make(CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR, bytes.count, UnsafeMutableRawPointer(mutating: bytes.baseAddress), in: context)
    (byteCount, self.context, self.owner) = (bytes.count, context, owner)
  }

  deinit {
    let (memory, byteCount, context) = (memory, owner == nil ? byteCount : 0, context)
    context.release("clReleaseMemObject", of: owner) {
      clReleaseMemObject(memory)
      context.giveBack(byteCount)
    }
  }

  private static func make(
    _ flags: Int32, _ byteCount: Int, _ host: UnsafeMutableRawPointer?, in context: OpenCLContext
  ) throws(OpenCLError) -> cl_mem {
    try context.demandUse()
    guard byteCount <= context.device.maxAllocationBytes else {
      throw OpenCLError(
        call: "clCreateBuffer", status: CL_INVALID_BUFFER_SIZE,
        detail: "\(byteCount) bytes, \(context.device.name) takes \(context.device.maxAllocationBytes) at most")
    }
    return try context.make("clCreateBuffer", "\(byteCount) bytes on \(context.device.name)") {
      clCreateBuffer(context.context, cl_mem_flags(flags), byteCount, host, &$0)
    }
  }

  /// Writes `count` pieces of `size` bytes one after the other from `offset` on; commands enqueued later see them.
  func write(_ count: Int = 1, of size: Int, at offset: Int = 0, _ fill: (UnsafeMutableRawPointer, _ piece: Int) -> Void) throws(OpenCLError) {
    guard count * size > 0 else { return }
    try context.demandUse()
    guard context.usesHostMemory else {
      return try context.staging.send(count, of: size, to: memory, at: offset, in: context, fill)
    }
    try map(CL_MAP_WRITE_INVALIDATE_REGION, offset, count * size) { address in
      for piece in 0..<count { fill(address + piece * size, piece) }
    }
  }

  /// Writes the values from `offset` on.
  func write<Value: BitwiseCopyable>(_ values: [Value], at offset: Int = 0) throws(OpenCLError) {
    try write(of: values.count * MemoryLayout<Value>.stride, at: offset) { target, _ in
      values.withUnsafeBytes { target.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    }
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int = 0) throws(OpenCLError) {
    try write(of: bytes.count, at: offset) { target, _ in target.copyMemory(from: bytes.baseAddress!, byteCount: bytes.count) }
  }

  /// Shows the host the first `count` pieces of `size` bytes once all commands before have ended.
  func read(_ count: Int = 1, of size: Int, _ read: (UnsafeRawPointer, _ piece: Int) -> Void) throws(OpenCLError) {
    guard count * size > 0 else { return }
    try context.demandUse()
    guard context.usesHostMemory else { return try context.staging.fetch(count, of: size, from: memory, in: context, read) }
    try map(CL_MAP_READ, 0, count * size) { address in
      for piece in 0..<count { read(address + piece * size, piece) }
    }
  }

  /// Fills `values` from the beginning.
  func read<Value: BitwiseCopyable>(into values: inout [Value]) throws(OpenCLError) {
    try read(of: values.count * MemoryLayout<Value>.stride) { source, _ in
      values.withUnsafeMutableBytes { $0.copyMemory(from: .init(start: source, count: $0.count)) }
    }
  }

  private func map(_ flags: Int32, _ offset: Int, _ count: Int, _ body: (UnsafeMutableRawPointer) -> Void) throws(OpenCLError) {
    var event: cl_event?
    let address = try context.make("clEnqueueMapBuffer", "\(count) bytes") {
      clEnqueueMapBuffer(context.queue, memory, cl_bool(CL_FALSE), cl_map_flags(flags), offset, count, 0, nil, &event, &$0)
    }
    try context.check("clFlush", clFlush(context.queue))
    try context.wait(for: event!)
    body(address)
    try context.check("clEnqueueUnmapMemObject", clEnqueueUnmapMemObject(context.queue, memory, address, 0, nil, nil))
  }
}

/// A buffer that grows to what is asked of it.
final class GrowableDeviceBuffer: @unchecked Sendable {
  private(set) var buffer: DeviceBuffer?

  /// A buffer of at least `byteCount` bytes; what was in it is gone when it grows.
  @discardableResult
  func room(_ byteCount: Int, in context: OpenCLContext) throws(OpenCLError) -> DeviceBuffer {
    if let buffer, buffer.byteCount >= byteCount { return buffer }
    let held = buffer?.byteCount ?? 0
    buffer = nil
    let grown = try DeviceBuffer(min(max(byteCount, held + held / 2), max(byteCount, context.device.maxAllocationBytes)), in: context)
    buffer = grown
    return grown
  }
}
#endif
