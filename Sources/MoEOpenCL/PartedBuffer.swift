// Buffers of a device that experts share, of which each takes a part and gives it back alone.

#if OpenCL
import MoEPlacement
import Synchronization

/// A buffer in parts; it goes back to the device with the last of them.
final class PartedBuffer: Sendable {
  let buffer: DeviceBuffer
  /// In order, none beside another.
  private let free: Mutex<[Range<Int>]>

  fileprivate init(_ byteCount: Int, in context: OpenCLContext) throws(OpenCLError) {
    buffer = try DeviceBuffer(byteCount, in: context)
    free = Mutex([0..<buffer.byteCount])
  }

  /// A part of so many bytes; nil where no gap has them.
  func part(of byteCount: Int) -> DevicePart? {
    free.withLock { free in
      guard let gap = free.firstIndex(where: { $0.count >= byteCount }) else { return nil }
      let first = free[gap].lowerBound, end = first + byteCount
      if end == free[gap].upperBound { free.remove(at: gap) } else { free[gap] = end..<free[gap].upperBound }
      return DevicePart(self, first..<end)
    }
  }

  fileprivate func giveBack(_ range: Range<Int>) {
    free.withLock { free in
      let next = free.firstIndex { $0.lowerBound >= range.upperBound } ?? free.endIndex
      var joined = range, replaced = next..<next
      if next < free.endIndex, free[next].lowerBound == range.upperBound {
        (joined, replaced) = (joined.lowerBound..<free[next].upperBound, replaced.lowerBound..<next + 1)
      }
      if next > 0, free[next - 1].upperBound == range.lowerBound {
        (joined, replaced) = (free[next - 1].lowerBound..<joined.upperBound, next - 1..<replaced.upperBound)
      }
      free.replaceSubrange(replaced, with: [joined])
    }
  }
}

/// Bytes of a buffer, until the object goes.
final class DevicePart: Sendable {
  let whole: PartedBuffer, range: Range<Int>

  fileprivate init(_ whole: PartedBuffer, _ range: Range<Int>) { (self.whole, self.range) = (whole, range) }

  deinit { whole.giveBack(range) }
}

/// The buffers in parts of one device.
final class PartedBuffers: Sendable {
  private struct Entry { weak var buffer: PartedBuffer? }

  private let entries = Mutex<[Entry]>([])

  /// Parts of these sizes, multiples of 64 bytes: in gaps of `near`, else in new buffers as large as all of them if the device takes that, and where
  /// it has no room for these, in gaps of any buffer.
  ///
  /// - Throws: `OpenCLError` when there is no room.
  func parts(of sizes: [Int], near: [PartedBuffer], in context: OpenCLContext) throws(OpenCLError) -> [DevicePart] {
    var parts: [DevicePart] = [], fresh: PartedBuffer?
    for (index, size) in sizes.enumerated() {
      if let part = Self.part(of: size, in: near + [fresh].compactMap { $0 }) {
        parts.append(part)
        continue
      }
      var bytes = size
      for next in sizes[(index + 1)...] where bytes + next <= context.device.maxAllocationBytes { bytes += next }
      do throws(OpenCLError) {
        let made = try PartedBuffer(bytes, in: context)
        entries.withLock { $0 = $0.filter { $0.buffer != nil } + [Entry(buffer: made)] }
        fresh = made
        parts.append(made.part(of: size)!)
      } catch {
        guard let part = Self.part(of: size, in: entries.withLock { $0.compactMap(\.buffer) }) else { throw error }
        parts.append(part)
      }
    }
    return parts
  }

  private static func part(of byteCount: Int, in buffers: [PartedBuffer]) -> DevicePart? {
    for buffer in buffers { if let part = buffer.part(of: byteCount) { return part } }
    return nil
  }
}
#endif
