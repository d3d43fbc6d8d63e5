// `kernbench verify`: conformance with the reference implementation.

public import ArgumentParser
public import MoE

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Checks every fixture below PATH: layer cases, formats, packed matrices, GGUF layers, whole checkpoints.")

  @Argument(help: "Files or folders.") var paths: [String]
  @Option(help: "cpu or blas.") var device = MoELayer.Device.cpu
  @Option(help: "float, int8 or both; int8 where the weights have such a kernel.") var activations = Activations.both
  @Option(help: "Worker threads; all that the machine allows by default.") var threads: Int?
  @Option(help: "Kernels of this instruction set instead of the best.") var isa: String?
  @Option(help: "Writes the results to this file.") var json: String?

  enum Activations: String, ExpressibleByArgument, CaseIterable {
    case float, int8, both
    var precisions: [ActivationPrecision] { self == .both ? [.float, .int8] : [self == .float ? .float : .int8] }
  }

  func run() throws {
    guard let kernels = isa.map(KernelTable.init(named:)) ?? .best else {
      throw Failure("no kernels for '\(isa ?? "")' on this machine; there are \(KernelTable.runnable.map(\.name).joined(separator: ", "))")
    }
    let machine = try Machine.current(threads: threads, kernels: kernels)
    let setting = LayerSetting(machine: machine, device: device, precisions: activations.precisions)
    var results: [CaseResult] = []
    for path in paths {
      let found = try CaseFinder.cases(below: path)
      if found.isEmpty { results.append(.failed(path, "there is no case below this path")) }
      for item in found { results += item.run(setting) }
    }
    for result in results { print(result.line) }
    let counts = (results.count { $0.status == .passed }, results.count { $0.status == .failed }, results.count { $0.status == .skipped })
    if let json { try write(JSON.object(["cases": .array(results.map(\.report))]).serialized(pretty: true) + "\n", to: json) }
    print("\(counts.0) passed, \(counts.1) failed, \(counts.2) skipped")
    if counts.1 > 0 { throw ExitCode(1) }
  }
}

extension MoELayer.Device: ExpressibleByArgument {}
