// Memory that grows on demand and is used again.

/// Bytes aligned to 64; they grow when more is asked for and keep their size until `release`.
package final class GrowableBuffer: @unchecked Sendable {
  private var memory = AlignedBuffer(byteCount: 0)

  package init() {}

  /// Room for `count` values, not initialised. Room that was given before is no longer valid.
  package func room<Value: BitwiseCopyable>(for count: Int, of type: Value.Type = Value.self) -> UnsafeMutablePointer<Value> {
    let needed = count * MemoryLayout<Value>.stride, held = memory.bytes.count
    if needed > held {
      release()
      memory = AlignedBuffer(byteCount: max(needed, held + held / 2))
    }
    return memory.bytes.baseAddress!.assumingMemoryBound(to: type)
  }

  /// Gives the memory back.
  package func release() { memory = AlignedBuffer(byteCount: 0) }
}

extension FloatRows {
  /// Rows [count, columns] in `buffer`, contiguous, not initialised; valid until the buffer is asked again.
  package init(count: Int, columns: Int, in buffer: GrowableBuffer) {
    self.init(base: buffer.room(for: count * columns), count: count, columns: columns, stride: columns)
  }
}
