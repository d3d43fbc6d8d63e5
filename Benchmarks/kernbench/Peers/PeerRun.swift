// One layer in one format: every peer's driver in turn, each beside ours.

import MoE

/// What is compared, and for how long.
struct PeerRun {
  let layer: PeerLayer
  let tokens: [Int]
  /// Of timing a system and row.
  let seconds: Double
  /// Of waiting for a driver's answer.
  let deadline: Double

  /// Rows of all systems for all numbers of tokens; a peer that fails is named and left out.
  ///
  /// - Throws: `Failure` when our own part fails.
  func measure(_ peers: [(peer: Peer, command: [String])], into results: inout PeerResults) throws {
    let comparisons = try tokens.map { try PeerComparison(layer, tokens: $0) }
    let exchange = try SharedMemory(byteCount: tokens.map { ExchangePlaces(layer, tokens: $0).byteCount }.max() ?? 0)
    for (peer, command) in peers {
      do {
        try measure(peer, command, comparisons, exchange, into: &results)
      } catch let failure as Failure {
        for system in peer.systems { results.skip(system, layer: layer.preset.name, format: "\(layer.formats)", failure.description) }
      }
    }
    for comparison in comparisons { if let row = comparison.row(peaks: results.machine.peaks) { results.finish(row) } }
  }

  private func measure(
    _ peer: Peer, _ command: [String], _ comparisons: [PeerComparison], _ exchange: SharedMemory, into results: inout PeerResults
  ) throws {
    let name = layer.preset.name, format = "\(layer.formats)"
    Progress.show("\(name), \(format): loading \(peer.environment)")
    let bytes = peer.bytesPerValue.map { Int($0 * Double(layer.values)) } ?? layer.publishedBytes * peer.systems.count
    try PeerLayer.demand(bytes, for: peer.environment)
    let driver = try PeerDriver(command, threads: layer.threads, weights: layer.memory, exchange: exchange, deadline: deadline)
    let (ready, refused) = try driver.load(layer.request, systems: peer.systems)
    for (system, reason) in refused { results.skip(system, layer: name, format: format, reason) }
    for comparison in comparisons where !ready.isEmpty {
      Progress.show("\(name), \(format), \(comparison.tokens) tokens: \(peer.environment)")
      let outcomes: [PeerComparison.Outcome]
      do { outcomes = try comparison.measure(driver, ready, exchange: exchange, budget: seconds) } catch let failure as Failure {
        outcomes = ready.map { _ in .failed(reason: failure.description) }
      }
      for (system, outcome) in zip(ready, outcomes) { report(system, outcome, comparison, into: &results) }
    }
  }

  private func report(_ system: PeerSystem, _ outcome: PeerComparison.Outcome, _ comparison: PeerComparison, into results: inout PeerResults) {
    let peaks = results.machine.peaks
    switch outcome {
    case .failed(let reason): results.skip(system.name, layer: layer.preset.name, format: "\(layer.formats)", tokens: comparison.tokens, reason)
    case .outOfBound(let error):
      results.append(PeerRow(comparison.row(of: nil, error: error, peaks: peaks), system, ratio: nil, oursMs: nil, disturbance: .none))
    case .measured(let seconds, let ours, let error, let disturbance):
      let row = comparison.row(of: seconds, error: error, peaks: peaks)
      results.append(PeerRow(row, system, ratio: seconds.median / ours.median, oursMs: ours.median * 1e3, disturbance: disturbance))
    }
  }
}
