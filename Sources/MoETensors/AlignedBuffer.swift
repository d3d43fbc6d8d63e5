// Owned, aligned memory.

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

/// Bytes owned by this object, aligned to 64, freed with it.
public final class AlignedBuffer: @unchecked Sendable {
  /// The bytes. Writing is for the one who made the buffer, before it is shared.
  public let bytes: UnsafeMutableRawBufferPointer
  private let isMapped: Bool

  /// A buffer of `byteCount` bytes, not initialised.
  public init(byteCount: Int) {
    bytes = .allocate(byteCount: byteCount, alignment: 64)
    isMapped = false
  }

  /// Zeroed memory for weights that are read from end to end: pages of its own, large ones where the system has them; nil when it has no such
  /// memory.
  package init?(mapping byteCount: Int) {
    guard byteCount > 0, let address = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0), Int(bitPattern: address) != -1
    else { return nil }
    #if os(Linux)
      madvise(address, byteCount, Int32(MADV_HUGEPAGE))
    #endif
    bytes = UnsafeMutableRawBufferPointer(start: address, count: byteCount)
    isMapped = true
  }

  /// A zeroed buffer.
  public static func zeroed(byteCount: Int) -> AlignedBuffer {
    let buffer = AlignedBuffer(byteCount: byteCount)
    buffer.bytes.initializeMemory(as: UInt8.self, repeating: 0)
    return buffer
  }

  deinit {
    if isMapped { munmap(bytes.baseAddress, bytes.count) } else { bytes.deallocate() }
  }

  /// Lets the system take back the whole pages of a range that nobody reads any more, where the memory has pages of its own.
  fileprivate func giveBack(_ range: Range<Int>) {
    #if os(Linux)
      let page = Int(getpagesize()), first = (range.lowerBound + page - 1) / page * page, end = range.upperBound / page * page
      if isMapped, first < end { madvise(bytes.baseAddress! + first, end - first, Int32(MADV_DONTNEED)) }
    #endif
  }
}

/// A part of a buffer that is used on its own: with it its pages go, those of the rest stay.
package final class BufferPart: Sendable {
  private let buffer: AlignedBuffer, range: Range<Int>

  package init(_ buffer: AlignedBuffer, _ range: Range<Int>) { (self.buffer, self.range) = (buffer, range) }

  deinit { buffer.giveBack(range) }
}
