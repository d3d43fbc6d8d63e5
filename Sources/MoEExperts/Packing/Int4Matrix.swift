// AWQ, GPTQ and compressed-tensors int4: codes, scales and zero points of groups of inputs.

public import MoETensors

extension PackedMatrix {
  /// AWQ (gemm version): `qweight` [in, out/8] i32 whose nibble i holds column 8c + [0,2,4,6,1,3,5,7][i], `qzeros` [in/group, out/8]
  /// likewise, `scales` [in/group, out]; w = (q - z) * s.
  ///
  /// - Throws: `ShapeError` when the three tensors do not fit together.
  public init(awq qweight: TensorView, zeros qzeros: TensorView, scales: TensorView) throws(ShapeError) {
    let (inputs, outputs, groups) = try Self.int4Sizes(scales, inputs: qweight.shape.first ?? 0, codes: qweight)
    try qweight.expect(.i32, [inputs, outputs / 8])
    try qzeros.expect(.i32, [groups, outputs / 8])
    let nibbleOf = [0, 4, 1, 5, 2, 6, 3, 7]
    let words = qweight.integers(UInt32.self), zeroWords = qzeros.integers(UInt32.self)
    try self.init(int4: scales, inputs: inputs, outputs: outputs, groups: groups, order: nil) { row, input in
      UInt8(words[input * (outputs / 8) + row / 8] >> UInt32(4 * nibbleOf[row % 8]) & 15)
    } zero: { row, group in
      UInt8(zeroWords[group * (outputs / 8) + row / 8] >> UInt32(4 * nibbleOf[row % 8]) & 15)
    }
  }

  /// GPTQ: `qweight` [in/8, out] i32 whose nibble i holds input 8r + i, `qzeros` [in/group, out/8] whose nibble i holds column 8c + i,
  /// `scales` [in/group, out], `g_idx` [in] the group of each input; w = (q - (z + zeroOffset)) * s[g_idx].
  ///
  /// Inputs are sorted by group (act-order becomes `inputOrder`). `zeroOffset` is 1, or 0 for `checkpoint_format: gptq_v2`.
  /// - Throws: `ShapeError` when the tensors do not fit together or the groups are not of equal size.
  public init(gptq qweight: TensorView, zeros qzeros: TensorView, scales: TensorView, groupIndex: TensorView?, zeroOffset: UInt8 = 1)
    throws(ShapeError)
  {
    let (inputs, outputs, groups) = try Self.int4Sizes(scales, inputs: (qweight.shape.first ?? 0) * 8, codes: qweight)
    try qweight.expect(.i32, [inputs / 8, outputs])
    try qzeros.expect(.i32, [groups, outputs / 8])
    var order = (0..<inputs).map(Int32.init)
    if let groupIndex {
      try groupIndex.expect(.i32, [inputs])
      let group = groupIndex.integers(Int32.self)
      var sizes = [Int](repeating: 0, count: groups)
      for (input, g) in group.enumerated() {
        guard g >= 0, g < groups else {
          throw ShapeError(tensor: groupIndex.name, reason: "input \(input) has group \(g) of \(groups)")
        }
        sizes[Int(g)] += 1
      }
      guard sizes.allSatisfy({ $0 == inputs / groups }) else {
        throw ShapeError(tensor: groupIndex.name, reason: "groups of unequal sizes \(sizes), expected \(inputs / groups)")
      }
      order.sort { (group[Int($0)], $0) < (group[Int($1)], $1) }
    }
    let identity = order.indices.allSatisfy { order[$0] == $0 }
    let words = qweight.integers(UInt32.self), zeroWords = qzeros.integers(UInt32.self)
    try self.init(int4: scales, inputs: inputs, outputs: outputs, groups: groups, order: identity ? nil : order) { [order] row, column in
      let input = Int(order[column])
      return UInt8(words[input / 8 * outputs + row] >> UInt32(4 * (input % 8)) & 15)
    } zero: { row, group in
      UInt8(zeroWords[group * (outputs / 8) + row / 8] >> UInt32(4 * (row % 8)) & 15) + zeroOffset
    }
  }

  /// compressed-tensors `pack-quantized` int4: `weight_packed` [out, in/8] i32 whose nibble i holds input 8c + i stored plus 8,
  /// `weight_scale` [out, in/group], optional `weight_zero_point` [out/8, in/group] packed along the outputs; w = (q - z) * s.
  ///
  /// The codes are borrowed as they lie. - Throws: `ShapeError` when the tensors do not fit together.
  public init(compressedInt4 packed: TensorView, scales: TensorView, zeros: TensorView?) throws(ShapeError) {
    guard packed.type == .i32, packed.shape.count == 2, scales.shape.count == 2, scales.shape[0] == packed.shape[0], scales.shape[1] > 0,
      packed.shape[1] * 8 % (2 * scales.shape[1]) == 0
    else {
      throw ShapeError(tensor: packed.name, reason: "\(packed.type) \(packed.shape) does not fit scales \(scales.shape)")
    }
    let rows = packed.shape[0], columns = packed.shape[1] * 8, groups = scales.shape[1]
    let plane = AlignedBuffer(byteCount: max(1, rows * groups))
    plane.bytes.initializeMemory(as: UInt8.self, repeating: 8)
    if let zeros {
      try zeros.expect(.i32, [(rows + 7) / 8, groups])
      let words = zeros.integers(UInt32.self)
      for row in 0..<rows {
        for group in 0..<groups { plane.bytes[row * groups + group] = UInt8(words[row / 8 * groups + group] >> UInt32(4 * (row % 8)) & 15) }
      }
    }
    let scalePlane = try ScalePlane(scales, group: columns / groups, stride: groups, zeros: plane)
    self = try packed.packed {
      () throws(FormatError) in
      try PackedMatrix(
        format: .int4, rows: rows, columns: columns, data: packed.bytes.baseAddress ?? UnsafeRawPointer(plane.bytes.baseAddress!),
        owner: packed.owner, scales: scalePlane)
    }
  }

  /// Sizes from scales [in/group, out]; every one is checked against the codes by the caller. Two codes share a byte: groups are even.
  private static func int4Sizes(_ scales: TensorView, inputs: Int, codes: TensorView) throws(ShapeError) -> (Int, Int, Int) {
    guard codes.shape.count == 2, scales.shape.count == 2, scales.shape[0] > 0, scales.shape[1] > 0, scales.shape[1] % 8 == 0,
      inputs % (2 * scales.shape[0]) == 0, inputs <= Int32.max
    else {
      throw ShapeError(tensor: codes.name, reason: "\(codes.type) \(codes.shape) does not fit scales \(scales.shape)")
    }
    return (inputs, scales.shape[1], scales.shape[0])
  }

  /// Output-major nibbles, scales and zero points from input-major ones.
  private init(
    int4 scales: TensorView, inputs: Int, outputs: Int, groups: Int, order: [Int32]?, code: (Int, Int) -> UInt8, zero: (Int, Int) -> UInt8
  ) throws(ShapeError) {
    guard scales.type.format.map({ !$0.isScaled && $0.blockValues == 1 }) == true else {
      throw ShapeError(tensor: scales.name, reason: "holds \(scales.type), which is no scale type")
    }
    let codes = AlignedBuffer(byteCount: max(1, outputs * inputs / 2))
    for row in 0..<outputs {
      for pair in 0..<inputs / 2 {
        codes.bytes[row * (inputs / 2) + pair] = code(row, 2 * pair) | code(row, 2 * pair + 1) << 4
      }
    }
    let width = scales.type.blockBytes
    let turned = AlignedBuffer(byteCount: max(1, outputs * groups * width)), zeros = AlignedBuffer(byteCount: max(1, outputs * groups))
    for row in 0..<outputs {
      for group in 0..<groups {
        (turned.bytes.baseAddress! + (row * groups + group) * width)
          .copyMemory(from: scales.bytes.baseAddress! + (group * outputs + row) * width, byteCount: width)
        zeros.bytes[row * groups + group] = zero(row, group)
      }
    }
    let view = try TensorView(
      name: scales.name, type: scales.type, shape: [outputs, groups],
      bytes: UnsafeRawBufferPointer(rebasing: turned.bytes[..<(outputs * groups * width)]), owner: turned)
    let plane = try ScalePlane(view, group: inputs / groups, stride: groups, zeros: zeros)
    self = try scales.packed {
      () throws(FormatError) in
      try PackedMatrix(
        format: .int4, rows: outputs, columns: inputs, data: UnsafeRawPointer(codes.bytes.baseAddress!), owner: codes, scales: plane,
        inputOrder: order)
    }
  }
}

extension WeightFormat {
  static let int4 = WeightFormat(named: "int4")!
}
