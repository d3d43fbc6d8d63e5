// Owned, aligned memory.

/// Bytes owned by this object, aligned to 64, freed with it.
public final class AlignedBuffer: @unchecked Sendable {
  /// The bytes. Writing is for the one who made the buffer, before it is shared.
  public let bytes: UnsafeMutableRawBufferPointer

  /// A buffer of `byteCount` bytes, not initialised.
  public init(byteCount: Int) {
    bytes = .allocate(byteCount: byteCount, alignment: 64)
  }

  /// A zeroed buffer.
  public static func zeroed(byteCount: Int) -> AlignedBuffer {
    let buffer = AlignedBuffer(byteCount: byteCount)
    buffer.bytes.initializeMemory(as: UInt8.self, repeating: 0)
    return buffer
  }

  deinit { bytes.deallocate() }
}
