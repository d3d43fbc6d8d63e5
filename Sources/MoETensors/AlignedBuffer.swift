// Owned, aligned memory, and pages of files that can be read again.

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// Bytes owned by this object, aligned to 64, freed with it.
public final class AlignedBuffer: @unchecked Sendable {
  /// The bytes. Writing is for the one who made the buffer, before it is shared.
  public let bytes: UnsafeMutableRawBufferPointer

  /// A buffer of `byteCount` bytes, not initialised.
  public init(byteCount: Int) {
    bytes = .allocate(byteCount: byteCount, alignment: 64)
  }

  /// A buffer for weights that are read from end to end: in large pages where it fills some and the system has them.
  package init(largePages byteCount: Int) {
    let page = 2 << 20
    bytes = .allocate(byteCount: byteCount, alignment: byteCount < page ? 64 : page)
    #if os(Linux)
      if byteCount >= page { madvise(bytes.baseAddress, byteCount, MADV_HUGEPAGE) }
    #endif
  }

  /// A zeroed buffer.
  public static func zeroed(byteCount: Int) -> AlignedBuffer {
    let buffer = AlignedBuffer(byteCount: byteCount)
    buffer.bytes.initializeMemory(as: UInt8.self, repeating: 0)
    return buffer
  }

  deinit { bytes.deallocate() }
}

/// Bytes of a mapped file.
package protocol FilePages: AnyObject {
  /// Lets the system take back the whole pages inside `bytes`; they are read from the file when they are touched again.
  func giveBack(_ bytes: UnsafeRawBufferPointer)
}
