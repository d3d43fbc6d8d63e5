// Layers in force, the calls that are in them, what these counted, and the life of the thread that follows the counts.

internal import MoEFamilies
internal import MoEPlacement

/// What `AdaptiveLayers` shares with its thread.
final class LayersInUse: @unchecked Sendable {
  /// A layer in force, or one that calls are still in.
  final class Use {
    let layer: MoELayer
    fileprivate var calls = 0

    init(_ layer: MoELayer) { self.layer = layer }
  }

  /// What the calls of a layer had since it was last asked.
  private struct Count {
    var rows: [Int]
    var tokens = 0, calls = 0
  }

  /// Guards all that changes; told when a layer that is no longer in force has no calls left, when all windows are full, and at the end.
  private let monitor = Monitor()
  /// Held by the one who moves experts.
  private let moving = Monitor()
  private var uses: [Use], counts: [Count]
  private var fullWindows = 0, hasEnded = false, waits = false, obstacle: String?
  private let window: Int?

  /// - Parameter window: tokens of a layer that the thread waits for; nil for no counts.
  init(_ layers: [MoELayer], window: Int?) {
    uses = layers.map(Use.init)
    counts = layers.map { Count(rows: Array(repeating: 0, count: $0.weights.experts.count)) }
    self.window = window
  }

  subscript(layer: Int) -> MoELayer { monitor.locked { uses[layer].layer } }

  var notes: [String] { monitor.locked { [obstacle].compactMap { $0 } } }

  func end() {
    monitor.locked {
      hasEnded = true
      monitor.notify()
    }
  }

  /// The layer in force, for a call that will `leave` it.
  func enter(_ layer: Int) -> Use {
    monitor.locked {
      uses[layer].calls += 1
      return uses[layer]
    }
  }

  func leave(_ use: Use, _ layer: Int) {
    monitor.locked {
      use.calls -= 1
      if use.calls == 0, use !== uses[layer] { monitor.notify() }
    }
  }

  /// Counts the rows of a call's experts, one addition each.
  func record(_ offsets: [Int], of experts: [Int32], tokens: Int, _ layer: Int) {
    guard let window else { return }
    monitor.locked {
      for expert in experts { counts[layer].rows[Int(expert)] += offsets[Int(expert) + 1] - offsets[Int(expert)] }
      let before = counts[layer].tokens
      counts[layer].tokens += tokens
      counts[layer].calls += 1
      guard before < window, before + tokens >= window else { return }
      fullWindows += 1
      if fullWindows == counts.count { monitor.notify() }
    }
  }

  /// Puts a layer's experts elsewhere and waits for the calls that are in the old layer, so that none of them has to give its memory back.
  func move(_ layer: Int, to placement: Placement) throws(MoEError) {
    try moving.locked { () throws(MoEError) in
      let old = monitor.locked { uses[layer] }, new = Use(try old.layer.moved(to: placement))
      monitor.locked {
        uses[layer] = new
        while old.calls > 0 { monitor.wait() }
      }
    }
  }

  /// The thread's life: plans at the end of every window, and moves what pays.
  func follow(_ adaptation: Adaptation) {
    SystemThread.yieldToOthers()
    var adaptation = adaptation
    while let window = nextWindow() {
      for (layer, count) in window.enumerated() {
        let offsets = count.rows.reduce(into: [0]) { $0.append($0.last! + $1) }
        adaptation.record(layer: layer, offsets: offsets, tokens: count.tokens, calls: count.calls)
        if let placement = self[layer].placement { adaptation.adopt(placement, layer: layer) }
      }
      var failure: String?
      do {
        guard let plan = try adaptation.proposal() else { continue }
        for (layer, placement) in plan.placements.enumerated() where !placement.isAlike(adaptation.placements[layer]) && !ended {
          try move(layer, to: placement)
        }
      } catch {
        failure = "\(error)"
        adaptation.rest()
      }
      monitor.locked { obstacle = failure }
    }
  }

  /// True while the thread has nothing to do.
  var isWaiting: Bool { monitor.locked { waits } }

  private var ended: Bool { monitor.locked { hasEnded } }

  /// Waits until every layer has had a window of tokens, and takes what was counted; nil at the end.
  private func nextWindow() -> [Count]? {
    monitor.locked {
      waits = true
      while fullWindows < counts.count, !hasEnded { monitor.wait() }
      waits = false
      if hasEnded { return nil }
      fullWindows = 0
      let taken = counts
      counts = taken.map { Count(rows: Array(repeating: 0, count: $0.rows.count)) }
      return taken
    }
  }
}
