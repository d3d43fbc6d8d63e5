// A whole checkpoint: the MoE layers that its expected results name.

import MoE

struct CheckpointCase {
  let path: String
  let expectedPath: String

  func run(_ setting: LayerSetting) -> [CaseResult] {
    do { return try check(setting) } catch { return [.failed(path.caseName, "\(error)")] }
  }

  private func check(_ setting: LayerSetting) throws -> [CaseResult] {
    let expected = try SafetensorsFile(path: expectedPath)
    let model = try MoEModel(Checkpoint(path: path))
    guard !expected.tensorNames.contains("io.output") else {
      return try setting.layers(model, model.block(layer: 0)).map { layer in
        try LayerCheck(name: path.caseName, source: expected, prefix: "io.").run(layer, input: "hidden_states", output: "output")
      }
    }
    let layers = Set(expected.tensorNames.compactMap { name -> Int? in
      let parts = name.split(separator: ".")
      return parts.count == 4 && parts[1] == "layers" && parts[3] == "topk_indices" ? Int(parts[2]) : nil
    })
    guard !layers.isEmpty, Set(model.blocks.map(\.layer)) == layers else {
      return [.failed(path.caseName, "MoE layers \(model.blocks.map(\.layer)), expected \(layers.sorted())")]
    }
    return try model.blocks.flatMap { block in
      try setting.layers(model, block).map { layer in
        try LayerCheck(name: "\(path.caseName) layer \(block.layer)", source: expected, prefix: "io.layers.\(block.layer).").run(
          layer, input: "moe_input", output: "moe_output")
      }
    }
  }
}
