// Four-bit floats: MXFP4 and NVFP4 as Hugging Face stores them, NF4 as bitsandbytes stores it.

public import MoETensors

extension PackedMatrix {
  /// MXFP4: `blocks` [.., out, in/32, 16] u8 with neighbouring values low nibble first, `scales` [.., out, in/32] E8M0 bytes,
  /// leading dimensions flattened into rows. They are borrowed as they lie.
  ///
  /// The codes stay E2M1 with their scales beside them, not GGUF's `mxfp4` blocks, which have no negative zero.
  /// - Throws: `ShapeError` when the tensors do not fit together or lack the rows.
  public init(mxfp4 blocks: TensorView, scales: TensorView, _ slice: Slice) throws(ShapeError) {
    guard blocks.type == .u8, blocks.shape.count >= 3, blocks.shape.last == 16, scales.type == .u8 || scales.type == .e8m0,
      scales.shape == Array(blocks.shape.dropLast())
    else {
      throw ShapeError(
        tensor: blocks.name, reason: "\(blocks.type) \(blocks.shape) does not fit \(scales.type) scales \(scales.shape)")
    }
    let groups = blocks.shape[blocks.shape.count - 2]
    try blocks.check(slice, of: groups == 0 ? 0 : scales.count / groups)
    let codes = blocks.rows(slice, of: groups * 16), factors = scales.rows(slice, of: groups)
    let plane = try ScalePlane(
      TensorView(name: scales.name, type: .e8m0, shape: [factors.count], bytes: factors, owner: scales.owner), count: slice.count * groups, group: 32,
      stride: slice.step * groups)
    self = try blocks.packed {
      () throws(FormatError) in
      try PackedMatrix(
        format: WeightFormat(named: "e2m1")!, rows: slice.count, columns: groups * 32,
        data: codes.baseAddress ?? UnsafeRawPointer(bitPattern: 64)!, owner: blocks.owner, step: slice.step, scales: plane)
    }
  }

  /// NVFP4: `weight` [out, in/2] u8 low nibble first, `scales` [out, in/16] E4M3, all times `global`; w = code * (scale * global).
  ///
  /// Codes and scales are borrowed as they lie. - Throws: `ShapeError` when the tensors do not fit together.
  public init(nvfp4 weight: TensorView, scales: TensorView, global: TensorView) throws(ShapeError) {
    guard weight.type == .u8, weight.shape.count == 2, weight.shape[1] % 8 == 0 else {
      throw ShapeError(tensor: weight.name, reason: "expected u8 [out, in/2] with whole groups of 16, found \(weight.type) \(weight.shape)")
    }
    guard scales.shape == [weight.shape[0], weight.shape[1] / 8] else {
      throw ShapeError(tensor: scales.name, reason: "expected \([weight.shape[0], weight.shape[1] / 8]), found \(scales.shape)")
    }
    guard global.count == 1, let factor = try global.floats().first else {
      throw ShapeError(tensor: global.name, reason: "expected one value, found \(global.shape)")
    }
    let plane = try ScalePlane(scales, group: 16, stride: weight.shape[1] / 8, global: factor)
    self = try weight.packed {
      () throws(FormatError) in
      try PackedMatrix(
        format: WeightFormat(named: "e2m1")!, rows: weight.shape[0], columns: weight.shape[1] * 2,
        data: weight.bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 64)!, owner: weight.owner, scales: plane)
    }
  }

  /// NF4: codes of [rows, columns] flattened, two a byte, high nibble first; one f32 `absmax` for `blockSize` flattened values.
  ///
  /// - Throws: `ShapeError` when the tensors do not fit the shape.
  public init(nf4 weight: TensorView, absmax: TensorView, rows: Int, columns: Int, blockSize: Int) throws(ShapeError) {
    let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
    guard rows >= 0, columns >= 0, !overflow, columns % 2 == 0, blockSize > 0, blockSize <= 1 << 20, blockSize % 2 == 0, weight.type == .u8,
      weight.count == count / 2, absmax.count == (count + blockSize - 1) / blockSize
    else {
      throw ShapeError(
        tensor: weight.name,
        reason: "\(weight.count) bytes and \(absmax.count) scales do not fit [\(rows), \(columns)] in blocks of \(blockSize)")
    }
    let codes = AlignedBuffer(byteCount: max(1, weight.count))
    for index in 0..<weight.count { codes.bytes[index] = weight.bytes[index] >> 4 | weight.bytes[index] << 4 }
    let plane = try ScalePlane(absmax, group: blockSize, stride: 0, isFlat: true)
    self = try weight.packed {
      () throws(FormatError) in
      try PackedMatrix(
        format: WeightFormat(named: "nf4")!, rows: rows, columns: columns, data: UnsafeRawPointer(codes.bytes.baseAddress!), owner: codes,
        scales: plane)
    }
  }
}

extension PackedMatrix {
  /// bitsandbytes' double quantization undone: absmax[i] = map[code[i]] * scales[i / blockSize] + offset, f32.
  ///
  /// - Throws: `ShapeError` when the tensors do not fit together.
  public static func widenNested(_ codes: TensorView, scales: TensorView, map: TensorView, blockSize: Int, offset: Float) throws(ShapeError)
    -> TensorView
  {
    guard codes.type == .u8, map.count == 256, blockSize > 0, blockSize <= 1 << 20, scales.count == (codes.count + blockSize - 1) / blockSize else {
      throw ShapeError(
        tensor: codes.name, reason: "\(codes.type) \(codes.shape) does not fit \(scales.shape) nested scales of \(blockSize), map \(map.shape)")
    }
    let table = try map.floats(), factors = try scales.floats()
    let widened = AlignedBuffer(byteCount: codes.count * 4)
    let out = widened.bytes.assumingMemoryBound(to: Float.self)
    for index in 0..<codes.count { out[index] = table[Int(codes.bytes[index])] * factors[index / blockSize] + offset }
    return try TensorView(
      name: codes.name, type: .f32, shape: [codes.count], bytes: UnsafeRawBufferPointer(widened.bytes), owner: widened)
  }
}
