// A whole checkpoint: the MoE layers that its expected results name.

import MoE

struct CheckpointCase {
  let path: String
  let expectedPath: String

  func run(on machine: Machine, _ device: MoELayer.Device) -> CaseResult {
    do { return try check(on: machine, device) } catch { return .failed(path.caseName, "\(error)") }
  }

  private func check(on machine: Machine, _ device: MoELayer.Device) throws -> CaseResult {
    let expected = try SafetensorsFile(path: expectedPath)
    let model = try MoEModel(Checkpoint(path: path))
    guard !expected.tensorNames.contains("io.output") else {
      let layer = try MoELayer(model, block: model.block(layer: 0), on: machine, device: device)
      return try LayerCheck(name: path.caseName, source: expected, prefix: "io.").run(layer, input: "hidden_states", output: "output")
    }
    let layers = Set(expected.tensorNames.compactMap { name -> Int? in
      let parts = name.split(separator: ".")
      return parts.count == 4 && parts[1] == "layers" && parts[3] == "moe_input" ? Int(parts[2]) : nil
    })
    guard Set(model.blocks.map(\.layer)) == Set(layers.filter { layer in expected.tensorNames.contains("io.layers.\(layer).topk_indices") }) else {
      return .failed(path.caseName, "MoE layers \(model.blocks.map(\.layer)), expected \(layers.sorted())")
    }
    var worst = CaseResult.measured(path.caseName, error: 0, bound: LayerCheck.outputBound, "layers \(layers.sorted().map(String.init).joined(separator: ", "))")
    for layer in model.blocks {
      let result = try LayerCheck(name: path.caseName, source: expected, prefix: "io.layers.\(layer.layer).").run(
        MoELayer(model, block: layer, on: machine, device: device), input: "moe_input", output: "moe_output")
      guard result.status == .passed else { return .failed(path.caseName, "layer \(layer.layer): \(result.message) \(result.error ?? 0)") }
      worst.error = max(worst.error ?? 0, result.error ?? 0)
    }
    return worst
  }
}
