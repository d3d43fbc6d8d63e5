// `kernbench peers`: the same layers through other systems, by turns with ours.

import ArgumentParser
import MoE

struct Peers: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compares layers with other systems, which it installs from PyPI below the user's cache folder.",
    discussion: "Without --layer, --format and --tokens it takes the cells for which this package has set itself figures.")

  @Option(help: "Presets, or hidden=..,intermediate=..,experts=..,topK=..; separated by commas.") var layer: String?
  @Option(help: "FORMAT or GATEUP/DOWN, separated by commas.") var format: String?
  @Option(parsing: .unconditional, help: "Tokens a call, separated by commas; 1,32,512 by default where a layer is given.") var tokens: String?
  @Option(help: "Of our kernels: float, int8 or bfloat16; by default int8 or bfloat16 where a format has it, else float.") var activations: String?
  @Option(parsing: .unconditional, help: "Fewer experts than the presets have.") var experts: Int?
  @Option(parsing: .unconditional, help: "Threads of every system; all that the machine allows by default.") var threads: Int?
  @Option(help: "Systems, or peers for all their systems, separated by commas; all but llama.cpp-avx2 by default.") var peer: String?
  @Option(help: "Our kernels of this instruction set instead of the best.") var isa: String?
  @Option(parsing: .unconditional, help: "Seconds of timing a system and row.") var seconds = 0.5
  @Option(help: "Seed of weights and hidden states.") var seed: UInt64 = 1
  @Option(help: "Writes the results to this file.") var json: String?
  @Option(help: "Writes the rows to this file.") var csv: String?
  @Option(help: ArgumentHelp("A driver of one's own; --peer names its systems.", visibility: .hidden)) var driver: String?
  @Option(parsing: .unconditional, help: ArgumentHelp("Seconds that a driver's answer may take.", visibility: .hidden)) var deadline = 600.0

  func run() throws {
    guard seconds > 0, seconds <= 600 else { throw Failure("--seconds \(seconds): expected more than 0 and at most 600") }
    let activations = try activations.map(ActivationPrecision.init(word:))
    let cells = try self.cells(), files = try ReportFiles(json: json, csv: csv, html: nil)
    let peers = try driver.map { try own($0) } ?? Peer.chosen(peer?.list)
    let machine = try Run.machine(threads: threads, isa: isa)
    var commands: [(peer: Peer, command: [String])] = [], missing: [(system: String, reason: String)] = []
    for peer in peers {
      do { commands.append((peer, try command(of: peer))) } catch { missing += peer.systems.map { ($0, "not installed: \(error)") } }
    }
    guard !commands.isEmpty else { throw Failure("no peer can run: \(missing.map { "\($0.system): \($0.reason)" }.joined(separator: "; "))") }
    let report = MachineReport(machine: machine, peaks: try Peaks(machine, activations.map { [.int8, $0] } ?? [.int8, .bfloat16]), seed: seed)
    var results = PeerResults(report)
    print(report.line)
    for note in report.notes { print("note: \(note)") }
    for peer in missing { results.skip(peer.system, peer.reason) }
    Output.line(PeerRow.header)
    for cell in cells {
      do {
        let layer = try PeerLayer(
          cell.preset, cell.formats, activations, machine: machine, seed: seed, withValues: commands.contains { $0.peer.readsValues })
        try PeerRun(layer: layer, tokens: cell.tokens, seconds: seconds, deadline: deadline).measure(commands, into: &results)
      } catch let failure as Failure where cells.count > 1 {
        results.skip("all systems", layer: cell.preset.name, format: "\(cell.formats)", failure.description)
      }
    }
    guard !results.cells.isEmpty else { throw Failure("no row could be measured") }
    show(results)
    try files.write(json: results.json, csv: results.csv, html: "")
    guard results.cells.allSatisfy(\.ours.isInBound) else { throw ExitCode(1) }
  }

  private func show(_ results: PeerResults) {
    print()
    print("Medians over ours, above 1 where we are faster:")
    print(PeerCell.header)
    for cell in results.cells { print(cell.line) }
    if results.cells.flatMap(\.peers).contains(where: \.disturbance.isContended) { print("?: other programs kept threads from running") }
    let verdicts = PeerFigures.verdicts(results.cells, peaks: results.machine.peaks)
    if !verdicts.isEmpty { print("\nFigures:") }
    for line in verdicts { print(line) }
    let settings = results.cells.flatMap(\.peers).compactMap(\.system).map { "\($0.name): \($0.version); \($0.settings)" }.unique
    if !settings.isEmpty { print("\nSettings:") }
    for line in settings { print(line) }
  }

  /// Layers, formats and tokens of the command line, or the cells of the figures.
  private func cells() throws -> [(preset: Preset, formats: FormatPair, tokens: [Int])] {
    let counts = try tokens?.list.map { text in
      guard let count = Int(text), 1...65536 ~= count else { throw Failure("--tokens \(text): expected 1 ... 65536") }
      return count
    }.unique
    let formats = try format?.list.map(FormatPair.init)
    guard let layer else {
      guard formats == nil, experts == nil else { throw Failure("--format and --experts go with --layer") }
      return try PeerFigures.cells.map { (try Preset($0.layer), try FormatPair($0.format), counts ?? $0.tokens) }
    }
    return try BenchmarkedLayer.list(layer, formats: formats, experts: experts, index: nil).map { layer in
      guard case .preset(let preset, let formats) = layer else { throw Failure("peers take presets and shapes, not checkpoints") }
      try PeerLayer.check(preset, formats)
      return (preset, formats, counts ?? [1, 32, 512])
    }
  }

  private func own(_ path: String) throws -> [Peer] {
    guard let names = peer?.list else { throw Failure("--driver \(path): --peer has to name its systems") }
    return names.map { Peer(environment: $0, driver: path, systems: [$0], readsValues: true, bytesPerValue: 0) }
  }

  private func command(of peer: Peer) throws -> [String] {
    if let driver { return ["python3", driver] + peer.systems }
    let folder = try PeerEnvironment.folder(of: peer)
    return [folder + "/bin/python", PeerEnvironment.drivers + "/" + peer.driver, folder + "/libraries"]
  }
}
