// `kernbench inspect`: the MoE layers of a checkpoint, their formats and sizes.

import ArgumentParser
import MoE

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows what MoE layers a checkpoint holds, their formats, and the bytes they will occupy when resident.")

  @Argument(help: "A GGUF file, a safetensors file, or a folder.") var path: String

  func run() throws {
    let model = try MoEModel(Checkpoint(path: path))
    let noticed = Noticed(model)
    guard !model.blocks.isEmpty else {
      throw Failure("\(path): no MoE layer; '\(model.name)' is known but " + (noticed.lines.first ?? "no router of it is there"))
    }
    print("family: \(model.name)")
    print("quantization: \(model.quantization.words)")
    print("MoE layers: \(model.blocks.count)")
    let names = model.checkpoint.tensors.tensorNames
    var described: Set<MoEConfiguration> = [], summaries: [LayerSummary] = []
    for block in model.blocks {
      Progress.show("layer \(block.layer)")
      let configuration = try model.configuration(of: block), summary = try LayerSummary(model, block, names: names)
      Progress.clear()
      if described.insert(configuration).inserted { for line in configuration.words { print(line) } }
      summaries.append(summary)
    }
    print()
    let prefix = summaries.map(\.block.prefix.count).max() ?? 0
    let format = max(4, summaries.flatMap(\.formats).map(\.count).max() ?? 0)
    let table = Table(columns: [
      .init(title: "layer", width: 5), .init(title: "tensors", width: max(7, prefix), isText: true), .init(title: "gate", width: format, isText: true),
      .init(title: "up", width: format, isText: true), .init(title: "down", width: format, isText: true), .init(title: "bits/weight", width: 11),
      .init(title: "in file", width: 10), .init(title: "resident", width: 10),
    ])
    print(table.header)
    for summary in summaries {
      print(
        table.line(
          ["\(summary.block.layer)", summary.block.prefix] + summary.formats
            + [fixed(summary.bitsPerWeight, 2), binary(summary.fileBytes), binary(summary.residentBytes)]))
    }
    let file = summaries.reduce(0) { $0 + $1.fileBytes }, resident = summaries.reduce(0) { $0 + $1.residentBytes }
    print("total: \(binary(file)) in the file, \(binary(resident)) resident (\(fixed(Double(resident) / Double(max(1, file)), 3)) x)")
    for line in noticed.lines { print("noticed: \(line)") }
  }
}
