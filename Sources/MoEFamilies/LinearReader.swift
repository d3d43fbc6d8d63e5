// One linear layer of a checkpoint as a packed matrix, whatever tensors it is stored in.

internal import MoECheckpoint
internal import MoEExperts
internal import MoETensors

/// Reads tensors and linear layers of one checkpoint.
struct LinearReader {
  let tensors: any TensorSource
  let quantization: Quantization

  func optional(_ name: String) throws(MoEError) -> TensorView? {
    try MoEError.reading { () throws(CheckpointError) in try tensors.tensor(name) }
  }

  func required(_ name: String) throws(MoEError) -> TensorView {
    guard let view = try optional(name) else { throw .missingTensor(name, file: tensors.fileDescription) }
    return view
  }

  /// A tensor that is there and has all it takes to read it: codes whose scales would lie in another tensor mean nothing alone.
  ///
  /// - Parameter takesFactors: true when `factors` follows.
  func complete(_ name: String, takesFactors: Bool = false) throws(MoEError) -> TensorView {
    let view = try required(name)
    guard view.type.format?.isScaled != true else {
      throw .unsupportedQuantization("'\(name)' holds \(view.type) codes where no scales are read")
    }
    if !takesFactors { try refuseScale(of: name) }
    return view
  }

  /// Factors of whole tensors or experts, as GGUF puts them beside NVFP4 weights: `count` of them; nil where there are none.
  func factors(of weight: TensorView, count: Int) throws(MoEError) -> [Float]? {
    guard weight.type.format?.name == "nvfp4" else {
      try refuseScale(of: weight.name)
      return nil
    }
    let name = Self.base(of: weight.name) + ".scale"
    return try optional(name) == nil ? nil : try floats(name, count: count)
  }

  /// Factors beside other weights that hold their own scales are not read, and must not be passed over.
  private func refuseScale(of weight: String) throws(MoEError) {
    let name = Self.base(of: weight) + ".scale"
    guard try optional(name) != nil else { return }
    throw .unsupportedQuantization("'\(name)': scales beside weights that hold their own are read for NVFP4 alone, an expert or a matrix at a time")
  }

  private static func base(of weight: String) -> String { weight.hasSuffix(".weight") ? String(weight.dropLast(".weight".count)) : weight }

  /// Values of a vector or small matrix, widened.
  func floats(_ name: String, count: Int) throws(MoEError) -> [Float] {
    let view = try complete(name)
    guard view.count == count else {
      throw .shape(ShapeError(tensor: name, reason: "expected \(count) values, found \(view.shape)"))
    }
    return try MoEError.shaping { () throws(ShapeError) in try view.floats() }
  }

  /// True when a linear layer called `base` is stored in any way.
  func holdsLinear(_ base: String) throws(MoEError) -> Bool {
    for suffix in [".weight", ".qweight", ".weight_packed"] where try optional(base + suffix) != nil { return true }
    return false
  }

  /// The weight [rows, columns] of the linear layer `base`.
  ///
  /// - Throws: `MoEError` naming the tensor that is missing, of another shape, or stored in a way that is not read.
  func linear(_ base: String, rows: Int, columns: Int) throws(MoEError) -> PackedMatrix {
    let matrix: PackedMatrix
    if let weight = try optional(base + ".weight") {
      matrix = try plainOrScaled(weight, base, rows: rows, columns: columns)
    } else if let qweight = try optional(base + ".qweight") {
      matrix = try int4(qweight, base)
    } else if let packed = try optional(base + ".weight_packed") {
      guard packed.type == .i32 else {
        throw .unsupportedQuantization("'\(packed.name)' holds \(packed.type); only int4 packed into i32 is read")
      }
      if let order = try optional(base + ".weight_g_idx") {
        throw .unsupportedQuantization("'\(order.name)': compressed-tensors with activation order is not read")
      }
      let scale = try required(base + ".weight_scale"), zeros = try optional(base + ".weight_zero_point")
      matrix = try MoEError.shaping { () throws(ShapeError) in try PackedMatrix(compressedInt4: packed, scales: scale, zeros: zeros) }
    } else {
      throw .missingTensor(base + ".weight", file: tensors.fileDescription)
    }
    guard matrix.rows == rows, matrix.columns == columns else {
      throw .shape(ShapeError(tensor: base, reason: "expected [\(rows), \(columns)], found [\(matrix.rows), \(matrix.columns)]"))
    }
    return matrix
  }

  private func plainOrScaled(_ weight: TensorView, _ base: String, rows: Int, columns: Int) throws(MoEError) -> PackedMatrix {
    if let absmax = try optional(base + ".weight.absmax") { return try nf4(weight, absmax, base, rows: rows, columns: columns) }
    if let format = weight.type.format, format.isScaled {
      var block: [Int]?
      if case .fp8(let size) = quantization { block = size }
      for suffix in [".weight_scale_inv", ".weight_scale", ".scale"] {
        guard let scales = try optional(base + suffix) else { continue }
        return try MoEError.shaping { () throws(ShapeError) in try PackedMatrix(float8: weight, scales: scales, block: block) }
      }
      throw .missingTensor(base + ".weight_scale_inv", file: tensors.fileDescription)
    }
    if weight.type == .u8, let global = try optional(base + ".weight_scale_2") {
      let scales = try required(base + ".weight_scale")
      return try MoEError.shaping { () throws(ShapeError) in try PackedMatrix(nvfp4: weight, scales: scales, global: global) }
    }
    guard weight.shape == [rows, columns] else {
      throw .shape(ShapeError(tensor: weight.name, reason: "expected [\(rows), \(columns)], found \(weight.shape)"))
    }
    let factor = try factors(of: weight, count: 1)?[0] ?? 1
    return try MoEError.shaping { () throws(ShapeError) in try PackedMatrix(rowsOf: weight, .init(count: rows), factor: factor) }
  }

  private func int4(_ qweight: TensorView, _ base: String) throws(MoEError) -> PackedMatrix {
    let zeros = try required(base + ".qzeros"), scales = try required(base + ".scales")
    switch quantization {
    case .awq: return try MoEError.shaping { () throws(ShapeError) in try PackedMatrix(awq: qweight, zeros: zeros, scales: scales) }
    case .gptq(let offset):
      let order = try optional(base + ".g_idx")
      return try MoEError.shaping { () throws(ShapeError) in
        try PackedMatrix(gptq: qweight, zeros: zeros, scales: scales, groupIndex: order, zeroOffset: offset)
      }
    default: throw .unsupportedQuantization("'\(qweight.name)' is there but the configuration names neither awq nor gptq")
    }
  }

  private func nf4(_ weight: TensorView, _ absmax: TensorView, _ base: String, rows: Int, columns: Int) throws(MoEError) -> PackedMatrix {
    let state = try required(base + ".weight.quant_state.bitsandbytes__nf4")
    let json = try MoEError.reading { () throws(CheckpointError) in
      try JSON(parsing: Array(state.bytes), file: state.name)
    }
    let shape = json["shape"]?.array?.compactMap(\.int) ?? []
    guard shape == [rows, columns], let blockSize = json["blocksize"]?.int, blockSize > 0 else {
      throw .shape(ShapeError(tensor: state.name, reason: "shape \(shape) for [\(rows), \(columns)], blocksize \(json["blocksize"]?.int ?? 0)"))
    }
    var scales = absmax
    if absmax.type == .u8 {
      let nested = try required(base + ".weight.nested_absmax"), map = try required(base + ".weight.nested_quant_map")
      guard let nestedSize = json["nested_blocksize"]?.int, let offset = json["nested_offset"]?.double else {
        throw .missingKey("nested_blocksize, nested_offset", family: state.name)
      }
      scales = try MoEError.shaping { () throws(ShapeError) in
        try PackedMatrix.widenNested(absmax, scales: nested, map: map, blockSize: nestedSize, offset: Float(offset))
      }
    }
    return try MoEError.shaping { [scales] () throws(ShapeError) in
      try PackedMatrix(nf4: weight, absmax: scales, rows: rows, columns: columns, blockSize: blockSize)
    }
  }
}
