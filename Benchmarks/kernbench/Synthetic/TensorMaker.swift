// The tensors of a synthetic layer under their published names.

import Foundation
import MoE

/// Appends tensors in the order of the names' appearance in published files.
struct TensorMaker {
  var preset: Preset
  private(set) var tensors: [SyntheticTensor] = []
  private var random: SeededRandom
  private var patterns: [String: RowPattern] = [:]

  init(preset: Preset, seed: UInt64) {
    self.preset = preset
    random = SeededRandom(seed: seed)
  }

  private var family: PublishedFamily { preset.family }
  private var experts: Int { preset.experts }
  private var hidden: Int { preset.hidden }
  private var intermediate: Int { preset.intermediate }

  mutating func appendGGUF(_ formats: FormatPair) throws {
    for format in [formats.gateUp, formats.down] where format.ggufType == nil {
      throw Failure("GGUF has no type for \(format)")
    }
    let block = "blk.0"
    appendNormal("\(block).ffn_gate_inp.weight", [experts, hidden], inputs: hidden)
    if family.hasBiases { appendBias("\(block).ffn_gate_inp.bias", [experts]) }
    if family.hasChoiceBias { appendBias("\(block).exp_probs_b.bias", [experts]) }
    for role in ["gate", "up", "down"] {
      let isDown = role == "down", shape = isDown ? [experts, hidden, intermediate] : [experts, intermediate, hidden]
      try append("\(block).ffn_\(role)_exps.weight", isDown ? formats.down : formats.gateUp, shape)
      if family.hasBiases { appendBias("\(block).ffn_\(role)_exps.bias", [experts, shape[1]]) }
    }
    guard preset.shared > 0 else { return }
    try append("\(block).ffn_gate_shexp.weight", formats.gateUp, [preset.shared, hidden])
    try append("\(block).ffn_up_shexp.weight", formats.gateUp, [preset.shared, hidden])
    try append("\(block).ffn_down_shexp.weight", formats.down, [hidden, preset.shared])
    if family.hasSharedGate { appendNormal("\(block).ffn_gate_inp_shexp.weight", [hidden], inputs: hidden) }
  }

  mutating func appendSafetensors(_ formats: FormatPair) throws {
    try refuseUnpublished(formats)
    let block = family.block
    appendNormal("\(block).\(family.router).weight", [experts, hidden], inputs: hidden)
    if family.hasBiases { appendBias("\(block).\(family.router).bias", [experts]) }
    if family.hasChoiceBias { appendBias("\(block).\(family.router).e_score_correction_bias", [experts]) }
    if family.isFused, !formats.gateUp.isScaled {
      try appendFused(block, formats)
    } else {
      for expert in 0..<experts {
        let names = family.experts
        try appendLinear("\(block).experts.\(expert).\(names.gate)", formats.gateUp, rows: intermediate, columns: hidden)
        try appendLinear("\(block).experts.\(expert).\(names.up)", formats.gateUp, rows: intermediate, columns: hidden)
        try appendLinear("\(block).experts.\(expert).\(names.down)", formats.down, rows: hidden, columns: intermediate)
      }
    }
    guard preset.shared > 0 else { return }
    try appendLinear("\(block).\(family.shared).gate_proj", formats.gateUp, rows: preset.shared, columns: hidden)
    try appendLinear("\(block).\(family.shared).up_proj", formats.gateUp, rows: preset.shared, columns: hidden)
    try appendLinear("\(block).\(family.shared).down_proj", formats.down, rows: hidden, columns: preset.shared)
    if family.hasSharedGate { appendNormal("\(block).\(family.shared)_gate.weight", [1, hidden], inputs: hidden) }
  }

  private func refuseUnpublished(_ formats: FormatPair) throws {
    let plain = ["f32", "f16", "bf16"], names = [formats.gateUp.name, formats.down.name]
    if names.allSatisfy(plain.contains) { return }
    guard names[0] == names[1] else { throw Failure("\(formats): safetensors checkpoints have one format for all of an expert's matrices") }
    switch names[0] {
    case "f8_e4m3":
      if family.hasBiases { throw Failure("\(preset.name): experts in one tensor with biases are not published in f8_e4m3") }
    case "mxfp4":
      guard family.hasBiases else { throw Failure("\(preset.name): mxfp4 is published in safetensors by gpt-oss only; a name ending in .gguf takes it") }
    default: throw Failure("\(names[0]): synthetic safetensors layers are f32, f16, bf16, f8_e4m3 or mxfp4; a name ending in .gguf takes GGUF's formats")
    }
  }

  /// All experts in one tensor: input-major rows of gate and up, or MXFP4 blocks of interleaved output rows.
  private mutating func appendFused(_ block: String, _ formats: FormatPair) throws {
    for (name, format, outputs, inputs) in [
      ("gate_up_proj", formats.gateUp, 2 * intermediate, hidden), ("down_proj", formats.down, hidden, intermediate),
    ] {
      let full = "\(block).experts.\(name)"
      if format.name == "mxfp4" {
        append("\(full)_blocks", .u8, [experts, outputs, inputs / 32, 16], try pattern("codes \(inputs)") { RowPattern(codes: inputs / 2, &$0) })
        append(
          "\(full)_scales", .u8, [experts, outputs, inputs / 32],
          try pattern("powers \(inputs)") { random in
            // The codes' root mean square is 2.9; powers of two spread around the scale that gives outputs of order one.
            let middle = 127 + Int((-log2(2.9 * Double(inputs).squareRoot())).rounded())
            return RowPattern(rows: random.bytes(64 * inputs / 32).map { UInt8(middle - 1 + Int($0 % 3)) })
          })
      } else {
        append(
          full, .weights(format), [experts, inputs, outputs],
          try pattern("\(format) transposed \(inputs) \(outputs)") {
            try RowPattern(format, columns: outputs, deviation: Self.deviation(inputs), &$0)
          })
      }
      if family.hasBiases { appendBias("\(full)_bias", [experts, outputs]) }
    }
  }

  /// One linear layer: a plain matrix, or FP8 codes with a scale for 128 x 128 of them.
  private mutating func appendLinear(_ base: String, _ format: WeightFormat, rows: Int, columns: Int) throws {
    guard format.isScaled else { return try append("\(base).weight", format, [rows, columns]) }
    let unit = 16.0
    append(
      "\(base).weight", .weights(format), [rows, columns],
      try pattern("codes of \(format) \(columns)") { try RowPattern(format, columns: columns, deviation: unit, &$0) })
    let blocks = [(rows + 127) / 128, (columns + 127) / 128]
    let scales = (0..<blocks[0] * blocks[1]).map { _ in Float(Self.deviation(columns) / unit * (0.75 + 0.5 * random.uniform())) }
    tensors.append(.floats("\(base).weight_scale_inv", blocks, scales))
  }

  /// Weights of this deviation make outputs as large as inputs.
  private static func deviation(_ inputs: Int) -> Double { 1 / Double(inputs).squareRoot() }

  private mutating func append(_ name: String, _ format: WeightFormat, _ shape: [Int]) throws {
    let columns = shape.last ?? 1
    append(
      name, .weights(format), shape,
      try pattern("\(format) \(columns)") { try RowPattern(format, columns: columns, deviation: Self.deviation(columns), &$0) })
  }

  private mutating func append(_ name: String, _ type: ElementType, _ shape: [Int], _ pattern: RowPattern) {
    tensors.append(SyntheticTensor(declaration: TensorDeclaration(name: name, type: type, shape: shape), content: .rows(pattern)))
  }

  private mutating func appendNormal(_ name: String, _ shape: [Int], inputs: Int) {
    tensors.append(.floats(name, shape, random.normal(shape.reduce(1, *), deviation: Self.deviation(inputs))))
  }

  private mutating func appendBias(_ name: String, _ shape: [Int]) {
    tensors.append(.floats(name, shape, random.normal(shape.reduce(1, *), deviation: 0.02)))
  }

  /// One pattern serves all tensors of a kind; their rows differ by the hash of their names.
  private mutating func pattern(_ key: String, _ make: (inout SeededRandom) throws -> RowPattern) throws -> RowPattern {
    if let pattern = patterns[key] { return pattern }
    let pattern = try make(&random)
    patterns[key] = pattern
    return pattern
  }
}
