// `kernbench verify`: conformance with the reference implementation.

import ArgumentParser
import MoE

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Checks every fixture below PATH: layer cases, formats, packed matrices, GGUF layers, whole checkpoints.")

  @Argument(help: "Files or folders.") var paths: [String]
  @Option(help: "cpu, blas, opencl, opencl:N, auto, or cpu+opencl:N for both at the same time.") var device = "cpu"
  @Option(help: "float, int8, bfloat16 or both: float and what the weights have a kernel for.") var activations = Activations.both
  @Option(help: "How weights lie in memory: rows, panels or auto.") var layout = LayoutChoice.auto
  @Option(parsing: .unconditional, help: "Worker threads; all that the machine allows by default.") var threads: Int?
  @Option(help: "Kernels of this instruction set instead of the best.") var isa: String?
  @Option(help: "Writes the results to this file.") var json: String?

  enum Activations: String, ExpressibleByArgument, CaseIterable {
    case float, int8, bfloat16, both
    var precisions: [ActivationPrecision] { ActivationPrecision(rawValue: rawValue).map { [$0] } ?? ActivationPrecision.allCases }
  }

  func run() throws {
    let choice = try DeviceChoice(device), file = try json.map(ReportFile.init)
    let machine = try Run.machine(threads: threads, isa: isa)
    if let note = choice.note { print(note) }
    let setting = LayerSetting(machine: machine, device: choice, precisions: activations.precisions, layout: layout.layout)
    var results: [CaseResult] = []
    for path in paths {
      let found = try CaseFinder.cases(below: path)
      if found.isEmpty { results.append(.failed(path, "there is no case below this path")) }
      for item in found { results += item.run(setting) }
    }
    for result in results { print(result.line) }
    let counts = (results.count { $0.status == .passed }, results.count { $0.status == .failed }, results.count { $0.status == .skipped })
    try Interrupts.held { try file?.write(JSON.object(["cases": .array(results.map(\.report))]).serialized(pretty: true) + "\n") }
    print("\(counts.0) passed, \(counts.1) failed, \(counts.2) skipped")
    if counts.1 > 0 { throw ExitCode(1) }
  }
}
