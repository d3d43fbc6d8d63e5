// FP8 with one scale a block, a row or a tensor.

public import MoETensors

extension PackedMatrix {
  /// E4M3 or E5M2 codes [out, in] times `scales`: [ceil(out/block[0]), ceil(in/block[1])] with edge blocks partial, [out, 1] or [out]
  /// for one scale a row, or a single one. The codes are borrowed as they lie.
  ///
  /// - Throws: `ShapeError` when the scales do not cover the matrix.
  public init(float8 codes: TensorView, scales: TensorView, block: [Int]?) throws(ShapeError) {
    let format = try codes.weightFormat()
    guard format.isScaled, format.blockValues == 1, codes.shape.count == 2 else {
      throw ShapeError(tensor: codes.name, reason: "expected an FP8 matrix, found \(codes.type) \(codes.shape)")
    }
    let rows = codes.shape[0], columns = codes.shape[1]
    let plane: ScalePlane
    if scales.count == 1 {
      plane = try ScalePlane(scales, group: max(1, columns), groupRows: max(1, rows), stride: 1)
    } else if scales.count == rows, scales.shape.dropFirst().allSatisfy({ $0 == 1 }) {
      plane = try ScalePlane(scales, group: max(1, columns), stride: 1)
    } else if let block, block.count == 2, block.allSatisfy({ $0 > 0 && $0 <= 1 << 30 }) {
      let expected = [(rows + block[0] - 1) / block[0], (columns + block[1] - 1) / block[1]]
      guard scales.shape == expected else {
        throw ShapeError(
          tensor: scales.name,
          reason: "expected \(expected) scales for \(codes.shape) in blocks of \(block), found \(scales.shape)")
      }
      plane = try ScalePlane(scales, group: block[1], groupRows: block[0], stride: expected[1])
    } else {
      throw ShapeError(tensor: scales.name, reason: "\(scales.shape) scales for \(codes.shape) and no block size")
    }
    self = try codes.packed {
      () throws(FormatError) in
      try PackedMatrix(
        format: format, rows: rows, columns: columns, data: codes.bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 64)!,
        owner: codes.owner, scales: plane)
    }
  }
}
