// Rows of activations: borrowed from the caller, or owned f32.

/// Borrowed activations [count, columns] in f32, f16 or bf16, rows `stride` elements apart.
///
/// The memory belongs to the caller and has to live, unchanged, for the call it is passed to.
public struct RowView {
  /// First element of the first row.
  public let base: UnsafeRawPointer
  /// f32, f16 or bf16.
  public let format: WeightFormat
  /// Number of rows.
  public let count: Int
  /// Elements of a row.
  public let columns: Int
  /// Elements from one row to the next.
  public let stride: Int

  /// - Throws: `ShapeError` when rows overlap, start within an element, or the element type is none of f32, f16, bf16.
  public init(_ base: UnsafeRawPointer, _ format: WeightFormat = .f32, count: Int, columns: Int, stride: Int? = nil) throws(ShapeError) {
    let stride = stride ?? columns
    try checkRows(base, format, count: count, columns: columns, stride: stride)
    self.base = base
    self.format = format
    self.count = count
    self.columns = columns
    self.stride = stride
  }
}

/// Writable activations [count, columns]; see `RowView`.
public struct MutableRowView {
  /// First element of the first row.
  public let base: UnsafeMutableRawPointer
  /// f32, f16 or bf16.
  public let format: WeightFormat
  /// Number of rows.
  public let count: Int
  /// Elements of a row.
  public let columns: Int
  /// Elements from one row to the next; what lies between rows is not touched.
  public let stride: Int

  /// - Throws: `ShapeError` when rows overlap, start within an element, or the element type is none of f32, f16, bf16.
  public init(_ base: UnsafeMutableRawPointer, _ format: WeightFormat = .f32, count: Int, columns: Int, stride: Int? = nil) throws(ShapeError) {
    let rows = try RowView(base, format, count: count, columns: columns, stride: stride)
    self.base = base
    self.format = format
    self.count = count
    self.columns = columns
    self.stride = rows.stride
  }
}

private func checkRows(_ base: UnsafeRawPointer, _ format: WeightFormat, count: Int, columns: Int, stride: Int) throws(ShapeError) {
  guard [.f32, .f16, .bf16].contains(format) else {
    throw ShapeError(tensor: "rows", reason: "activations are f32, f16 or bf16, found \(format)")
  }
  guard Int(bitPattern: base) % format.blockBytes == 0 else {
    throw ShapeError(tensor: "rows", reason: "address \(base) of \(format) rows is no multiple of \(format.blockBytes)")
  }
  guard count >= 0, columns > 0, stride >= columns, stride <= Int32.max, count <= Int32.max else {
    throw ShapeError(tensor: "rows", reason: "\(count) rows of \(columns) with stride \(stride)")
  }
}

/// f32 rows inside the package, kept alive by their owner; rows of the caller's memory have none.
package struct FloatRows: @unchecked Sendable {
  package let base: UnsafeMutablePointer<Float>
  package let count: Int
  package let columns: Int
  package let stride: Int
  package let owner: AnyObject?

  package init(base: UnsafeMutablePointer<Float>, count: Int, columns: Int, stride: Int, owner: AnyObject? = nil) {
    self.base = base
    self.count = count
    self.columns = columns
    self.stride = stride
    self.owner = owner
  }

  package func row(_ index: Int) -> UnsafeMutablePointer<Float> { base + index * stride }
}

extension FloatRows {
  /// New rows [count, columns], contiguous, not initialised.
  package init(count: Int, columns: Int) {
    let buffer = AlignedBuffer(byteCount: count * columns * MemoryLayout<Float>.size)
    let base = buffer.bytes.baseAddress!.assumingMemoryBound(to: Float.self)
    self.init(base: base, count: count, columns: columns, stride: columns, owner: buffer)
  }

  /// Some of these rows.
  package func part(_ range: Range<Int>) -> FloatRows {
    FloatRows(base: row(range.lowerBound), count: range.count, columns: columns, stride: stride, owner: owner)
  }
}
