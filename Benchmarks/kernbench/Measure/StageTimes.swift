// How long each stage of a layer takes, over several calls.

import MoE

struct StageTimes {
  private(set) var calls = 0
  /// Seconds of all stages of all calls.
  private(set) var total = 0.0
  private var seconds: [LayerStage: [Double]] = [:]
  private let clock = ContinuousClock()

  /// Runs a call that tells when each of its stages is done.
  mutating func watch<Result>(_ call: ((LayerStage) -> Void) throws -> Result) rethrows -> Result {
    var own: [LayerStage: Double] = [:], last = clock.now
    let result = try call { stage in
      let now = clock.now
      own[stage, default: 0] += (now - last) / .seconds(1)
      last = now
    }
    for (stage, duration) in own {
      seconds[stage, default: []].append(duration)
      total += duration
    }
    calls += 1
    return result
  }

  /// Milliseconds of the stages that there were, in the layer's order.
  var medians: [(stage: LayerStage, ms: Double)] {
    LayerStage.allCases.compactMap { stage in seconds[stage].map { (stage, $0.median * 1e3) } }
  }
}
