// One number of tokens of a layer: our calls and those of a driver's systems, by turns.

import Foundation
import MoE

/// Where batches lie in the memory that drivers map.
struct ExchangePlaces {
  let tokens: Int, batches: Int
  /// Bytes of one batch of hidden states, and of expert ids or weights.
  let stateBytes: Int, routingBytes: Int

  init(_ layer: PeerLayer, tokens: Int) {
    (self.tokens, batches) = (tokens, layer.benchmark.batchCount(of: tokens))
    (stateBytes, routingBytes) = (4 * tokens * layer.preset.hidden, 4 * tokens * layer.preset.topK)
  }

  var states: Int { 0 }
  var ids: Int { batches * stateBytes }
  var weights: Int { ids + batches * routingBytes }
  var output: Int { weights + batches * routingBytes }
  var byteCount: Int { output + stateBytes }

  var fields: [String: JSON] {
    [
      "tokens": .integer(tokens), "batches": .integer(batches), "states": .integer(states), "ids": .integer(ids), "weights": .integer(weights),
      "output": .integer(output),
    ]
  }
}

/// Batches of tokens with the experts and weights that all systems are given.
final class PeerComparison {
  let tokens: Int
  /// Of our output.
  let error: Double
  private let layer: PeerLayer
  private let states: TokenBatches
  private let routings: [RouterOutput]
  /// Seconds of our calls, in all comparisons, and what they did.
  private var seconds: [Double] = []
  private var calls: [CallWork] = []

  /// Calls shorter than the first come after others that are not timed, for as long as the second: threads that slept wake late, and often on one
  /// CPU until the system moves them.
  static let shortCall = 0.1, warmUp = 0.01
  /// What the sum of squared errors of a peer may be at most over the sum of squares: twice ours, since peers round activations to blocks of
  /// their own.
  static let bound = 2 * OutputCheck.int8Bound

  init(_ layer: PeerLayer, tokens: Int) throws {
    (self.layer, self.tokens) = (layer, tokens)
    let benchmark = layer.benchmark, states = try benchmark.batches(of: tokens)
    self.states = states
    routings = try (0..<states.count).map { batch in
      let values = UnsafeBufferPointer(start: states.input(batch), count: tokens * benchmark.layer.hidden)
      let routing = try benchmark.layer.route(HiddenStates(Array(values), tokens: tokens, hidden: benchmark.layer.hidden))
      guard routing.count == tokens * layer.preset.topK else { throw Failure("\(benchmark.name): a token has not \(layer.preset.topK) experts") }
      return routing
    }
    error = try benchmark.error(states, isRounded: benchmark.activations != .float) { [routings] batch in
      try benchmark.forward(states, batch: batch, routing: routings[batch])
    }
  }

  deinit { states.free() }

  /// Our row over all comparisons so far; no times where the output was out of bound, nil before the first comparison.
  func row(peaks: Peaks) -> Row? {
    guard !seconds.isEmpty || error > layer.benchmark.bound else { return nil }
    let times = error <= layer.benchmark.bound ? layer.benchmark.times(seconds, calls, peaks: peaks) : nil
    return layer.benchmark.row(tokens: tokens, times: times, error: error)
  }

  /// The row of a system that took these seconds, without times where its output is something else.
  func row(of seconds: [Double]?, error: Double, peaks: Peaks) -> Row {
    let work = routings.map { CallWork($0, experts: layer.preset.experts) }
    let times = seconds.map { layer.benchmark.times($0, work, peaks: peaks) }
    return layer.benchmark.row(tokens: tokens, times: times, error: error, bound: Self.bound)
  }

  /// What a system did.
  enum Outcome {
    /// Its seconds and ours of the same rounds, and its error.
    case measured(seconds: [Double], ours: [Double], error: Double, disturbance: Disturbance)
    /// The output is something else.
    case outOfBound(error: Double)
    case failed(reason: String)
  }

  /// Rounds of one call of ours and one of each system, each on the same batches, for about `budget` seconds of each.
  ///
  /// - Throws: `Failure` when the driver does not take the batches, or our own call fails.
  func measure(_ driver: PeerDriver, _ systems: [PeerSystem], exchange: SharedMemory, budget: Double) throws -> [Outcome] {
    let places = ExchangePlaces(layer, tokens: tokens)
    hand(over: exchange, places)
    try driver.prepare(places)
    var contenders = systems.map { Contender(name: $0.name) }
    for index in contenders.indices {
      contenders[index].check { name, last in
        try layer.benchmark.error(states, isRounded: true) { batch in
          last = try driver.run(name, batch: batch).seconds
          states.output.update(from: exchange.floats(at: places.output), count: tokens * layer.preset.hidden)
          return routings[batch]
        }
      }
    }
    var own: [TimedCall] = [], last = try elapsed { try forward(0) }, total = 0.0
    let most = budget * Double(systems.count + 1), start = ContinuousClock.now
    for round in 0..<2000 where contenders.contains(where: \.isIn) {
      let (warm, batch) = turn(round, last: last)
      for batch in warm { try forward(batch) }
      let waited = ThreadStates.waited(getpid())
      last = try elapsed { try forward(batch) }
      own.append(TimedCall(seconds: last, waited: ThreadStates.waited(getpid()) - waited))
      calls.append(CallWork(routings[batch], experts: layer.preset.experts))
      total += last
      for index in contenders.indices where contenders[index].isIn {
        contenders[index].take(driver.id) { name, last in
          let (warm, batch) = turn(round, last: last), call = try driver.run(name, batch: batch, warm: warm)
          total += call.seconds
          return call
        }
      }
      let spent = (ContinuousClock.now - start) / .seconds(1)
      if total >= most && round >= 4 || spent >= 4 * most && round >= 2 { break }
    }
    seconds += own.map(\.seconds)
    return contenders.map { $0.outcome(ours: own) }
  }

  private func forward(_ batch: Int) throws { try layer.benchmark.forward(states, batch: batch, routing: routings[batch]) }

  /// The batches of a round for who took `last` seconds: those before the timing, and the timed one, which is everybody's.
  private func turn(_ round: Int, last: Double) -> (warm: [Int], batch: Int) {
    let warm = last < Self.shortCall ? min(Int((Self.warmUp / max(last, 1e-6)).rounded(.up)), states.count - 1) : 0
    return ((0..<warm).map { (round + states.count - warm + $0) % states.count }, round % states.count)
  }

  private func hand(over memory: SharedMemory, _ places: ExchangePlaces) {
    for (batch, routing) in routings.enumerated() {
      memory.floats(at: places.states + batch * places.stateBytes).update(from: states.input(batch), count: tokens * layer.preset.hidden)
      memory.ids(at: places.ids + batch * places.routingBytes).update(from: routing.expertIDs, count: routing.count)
      memory.floats(at: places.weights + batch * places.routingBytes).update(from: routing.weights, count: routing.count)
    }
  }
}

/// One call as it was timed.
struct TimedCall {
  let seconds: Double
  /// Seconds that its threads were ready to run and had no CPU, altogether.
  let waited: Double

  /// Threads that are woken wait some microseconds on a quiet machine too.
  var isContended: Bool { waited > 0.1 * seconds + 50e-6 }
}

/// What makes a comparison unsure.
struct Disturbance {
  /// The system's threads went on running after its answers, beside our calls.
  let spins: Bool
  /// In a quarter of the system's calls or ours threads waited for a CPU: other programs ran.
  let isContended: Bool

  static let none = Disturbance(spins: false, isContended: false)
}

/// A system as the rounds go on.
private struct Contender {
  let name: String
  private var error = Double.nan
  private var last = Double.infinity
  private var calls: [TimedCall] = []
  private var spins = false
  private var failure: String?

  init(name: String) { self.name = name }

  var isIn: Bool { failure == nil && error <= PeerComparison.bound }

  mutating func check(_ body: (_ name: String, _ last: inout Double) throws -> Double) {
    do { error = try body(name, &last) } catch { failure = "\(error)" }
  }

  /// One timing. Who was seen spinning is not waited for again.
  mutating func take(_ process: pid_t, _ body: (_ name: String, _ last: Double) throws -> TimedCall) {
    do {
      let call = try body(name, last)
      last = call.seconds
      calls.append(call)
      if !spins { spins = !ThreadStates.sleep(process) }
    } catch { failure = "\(error)" }
  }

  func outcome(ours: [TimedCall]) -> PeerComparison.Outcome {
    if let failure { return .failed(reason: failure) }
    guard error <= PeerComparison.bound else { return .outOfBound(error: error) }
    let ours = ours.prefix(calls.count)
    let isContended = [calls[...], ours].contains { calls in 4 * calls.count(where: \.isContended) > calls.count }
    return .measured(
      seconds: calls.map(\.seconds), ours: ours.map(\.seconds), error: error, disturbance: Disturbance(spins: spins, isContended: isContended))
  }
}
