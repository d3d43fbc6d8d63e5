// Matrices that a checkpoint stores as one tensor of weights: whole, sliced, interleaved or transposed.

public import MoETensors

extension PackedMatrix {
  /// Which rows of y = W x a tensor of stacked matrices holds for one projection.
  public struct Slice: Sendable {
    /// First row (input-major tensors: first column) of the projection.
    public var first: Int
    /// Rows of the projection.
    public var count: Int
    /// Distance between its rows: 2 where gate and up are interleaved.
    public var step: Int

    /// Rows first, first + step, ... , `count` of them.
    public init(first: Int = 0, count: Int, step: Int = 1) {
      self.first = first
      self.count = count
      self.step = step
    }
  }

  /// Rows of an output-major tensor [.., rows, columns], its leading dimensions flattened; they are borrowed as they lie.
  ///
  /// - Parameter factor: multiplies every value of `nvfp4` weights.
  /// - Throws: `ShapeError` when the tensor holds no weights or not these rows, or takes no factor.
  public init(rowsOf view: TensorView, _ slice: Slice, factor: Float = 1) throws(ShapeError) {
    let format = try view.weightFormat()
    guard factor == 1 || format.name == "nvfp4" else { throw ShapeError(tensor: view.name, reason: "\(format) takes no factor, \(factor) is given") }
    let columns = view.shape.last ?? 1
    let stored = columns == 0 ? 0 : view.count / columns
    try view.check(slice, of: stored)
    let rows = view.rows(slice, of: columns / format.blockValues * format.blockBytes)
    self = try view.packed {
      () throws(FormatError) in
      try PackedMatrix(
        format: format, rows: slice.count, columns: columns, data: rows.baseAddress ?? UnsafeRawPointer(bitPattern: 64)!,
        owner: view.owner, step: slice.step, factor: factor)
    }
  }

  /// Columns of input-major matrix `index` of a tensor [.., inputs, outputs], transposed into rows.
  ///
  /// - Throws: `ShapeError` when the tensor holds no plain weights, or not this matrix or these columns.
  public init(columnsOf view: TensorView, matrix index: Int = 0, inputs: Int, _ slice: Slice) throws(ShapeError) {
    let format = try view.weightFormat()
    guard format.blockValues == 1, !format.isScaled, let outputs = view.shape.last, outputs > 0, inputs > 0, index >= 0,
      index < view.count / outputs / inputs
    else {
      throw ShapeError(tensor: view.name, reason: "\(view.type) \(view.shape) has no input-major matrix \(index) of \(inputs) inputs")
    }
    try view.check(slice, of: outputs)
    let width = format.blockBytes
    let copy = AlignedBuffer(byteCount: slice.count * inputs * width)
    let source = view.bytes.baseAddress! + index * inputs * outputs * width
    let target = copy.bytes.baseAddress!
    let tile = 32
    for firstRow in stride(from: 0, to: slice.count, by: tile) {
      for firstInput in stride(from: 0, to: inputs, by: tile) {
        for row in firstRow..<min(firstRow + tile, slice.count) {
          let column = source + (slice.first + row * slice.step) * width
          for input in firstInput..<min(firstInput + tile, inputs) {
            (target + (row * inputs + input) * width).copyMemory(from: column + input * outputs * width, byteCount: width)
          }
        }
      }
    }
    self = try view.packed {
      () throws(FormatError) in
      try PackedMatrix(format: format, rows: slice.count, columns: inputs, data: target, owner: copy)
    }
  }

  /// Encodes f32 values [rows, columns] into `format`.
  ///
  /// - Throws: `ShapeError` when the sizes differ, or the format cannot be written or does not divide the row.
  public init(encoding values: [Float], rows: Int, columns: Int, as format: WeightFormat) throws(ShapeError) {
    let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
    guard rows >= 0, columns >= 0, !overflow, values.count == count else {
      throw ShapeError(tensor: "encoded matrix", reason: "\(values.count) values for [\(rows), \(columns)]")
    }
    do {
      _ = try format.bytes(values: columns)
      let bytes = try format.encode(values)
      let buffer = AlignedBuffer(byteCount: bytes.count)
      buffer.bytes.copyBytes(from: bytes)
      try self.init(format: format, rows: rows, columns: columns, data: UnsafeRawPointer(buffer.bytes.baseAddress!), owner: buffer)
    } catch { throw ShapeError(tensor: "encoded matrix", reason: "\(error)") }
  }
}

extension TensorView {
  /// The weight format of the elements.
  func weightFormat() throws(ShapeError) -> WeightFormat {
    guard let format = type.format else { throw ShapeError(tensor: name, reason: "holds \(type) where weights were expected") }
    return format
  }

  /// The bytes from the first row of a slice, checked before, to its last.
  func rows(_ slice: PackedMatrix.Slice, of rowBytes: Int) -> UnsafeRawBufferPointer {
    guard slice.count > 0 else { return UnsafeRawBufferPointer(rebasing: bytes[..<0]) }
    let first = slice.first * rowBytes
    return UnsafeRawBufferPointer(rebasing: bytes[first..<first + ((slice.count - 1) * slice.step + 1) * rowBytes])
  }

  func check(_ slice: PackedMatrix.Slice, of available: Int) throws(ShapeError) {
    guard slice.first >= 0, slice.count >= 0, slice.step > 0, slice.count <= available, slice.step <= max(1, available),
      slice.count == 0 || slice.first < available && slice.first + (slice.count - 1) * slice.step < available
    else {
      throw ShapeError(
        tensor: name, reason: "shape \(shape) has no rows \(slice.first), +\(slice.step), .. (\(slice.count) of them)")
    }
  }

  /// Turns a format's error into one that names this tensor.
  func packed(_ make: () throws(FormatError) -> PackedMatrix) throws(ShapeError) -> PackedMatrix {
    do { return try make() } catch { throw ShapeError(tensor: name, reason: "\(error)") }
  }

  /// Demands a type and a shape.
  func expect(_ type: ElementType, _ shape: [Int]) throws(ShapeError) {
    guard self.type == type, self.shape == shape else {
      throw ShapeError(tensor: name, reason: "expected \(type) \(shape), found \(self.type) \(self.shape)")
    }
  }
}
