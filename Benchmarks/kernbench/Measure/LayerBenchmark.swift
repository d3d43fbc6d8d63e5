// Times one layer for a number of tokens, after its output has been checked.

import Foundation
import MoE

/// One layer on one machine, ready for any number of tokens.
final class LayerBenchmark {
  let name: String
  let format: String
  let layer: MoELayer
  let activations: ActivationPrecision
  private let machine: Machine
  private let device: MoELayer.Device
  private let seed: UInt64
  private var check: OutputCheck?

  init(
    name: String, configuration: MoEConfiguration, weights: LayerWeights, machine: Machine, device: MoELayer.Device,
    activations: ActivationPrecision, layout: WeightLayout?, packedCache: PackedCache? = nil, placement: Placement? = nil,
    seed: UInt64
  ) throws {
    self.name = name
    self.machine = machine
    self.device = device
    self.seed = seed
    layer = try Interrupts.held {
      try MoELayer(
        configuration: configuration, weights: weights, on: machine, device: device, activations: activations, layout: layout,
        packedCache: packedCache, placement: placement)
    }
    self.activations = activations
    let first = weights.experts.experts[0]
    format = first.up.format == first.down.format ? first.up.format.name : "\(first.up.format)/\(first.down.format)"
  }

  /// What the cache of packed weights did, a line each.
  var cacheLines: [String] { layer.packedCache?.lines ?? [] }

  /// Why the precision asked for is not to be had; nil when it is.
  var obstacle: String? {
    guard layer.activations != activations else { return nil }
    return "\(device == .cpu ? format : "\(device)") has no kernel on \(activations.rawValue) activations"
  }

  /// Checks and times `tokens` tokens a call, for about `seconds`.
  func row(tokens: Int, peaks: Peaks, seconds: Double) throws -> Row {
    let states = try batches(of: tokens)
    defer { states.free() }
    var longest = 0.0
    let error = try checkOutputs(states, longest: &longest)
    // The check was calls of the same shape: where one takes so long, no more warming up, and stages from the timed calls.
    let times = error <= bound ? try time(states, peaks: peaks, seconds: seconds, isSlow: longest > seconds) : nil
    return row(tokens: tokens, times: times, error: error)
  }

  /// The row of these times; none where the error is out of bound.
  func row(tokens: Int, times: Row.Times?, error: Double, bound: Double? = nil) -> Row {
    Row(
      layer: name, format: format, activations: activations, tokens: tokens, threads: machine.pool.threads, device: deviceName,
      layout: layer.weights.experts.experts[0].up.layout, kernel: kernel, times: times, error: error, bound: bound ?? self.bound,
      residentBytes: layer.weights.residentBytes, isCached: isCached, isOversubscribed: machine.isOversubscribed)
  }

  /// What `error` may be at most.
  var bound: Double { OutputCheck.bound(activations) }

  /// "cpu", "opencl:0", "cpu+opencl:0 (64 experts)".
  private var deviceName: String {
    guard let placement = layer.placement, let index = placement.devices.first else { return "\(device)" }
    return "\(device)+opencl:\(index) (\(placement.experts.count { $0 == .device(index) }) experts)"
  }

  private var kernel: String {
    if device == .blas { return "cblas_sgemm" }
    let first = layer.weights.experts.experts[0]
    let names = [first.up, first.down].map { (matrix: PackedMatrix) -> String in
      if case .openCL = device { return "product_\(matrix.format)_opencl" }
      return (matrix.suitsRounded ? machine.kernels.gemmName(matrix.format, on: activations) : nil) ?? machine.kernels.gemmName(matrix.format)
    }
    return names[0] == names[1] ? names[0] : names.joined(separator: "/")
  }

  /// Bytes of the last level of cache, 32 MiB when unknown.
  private var cacheBytes: Int {
    let caches = machine.topology.caches, last = caches.map(\.level).max()
    return max(caches.filter { $0.level == last }.reduce(0) { $0 + $1.bytes }, 32 << 20)
  }

  private var isCached: Bool { layer.weights.residentBytes < 2 * cacheBytes }

  /// Of one expert, in the published format.
  private var expertBytes: Double {
    Double(layer.weights.experts.experts[0].publishedBytes)
  }

  /// How many batches of so many tokens take turns.
  func batchCount(of tokens: Int) -> Int {
    let experts = min(layer.weights.experts.count, tokens.multipliedReportingOverflow(by: layer.configuration.topK).partialValue)
    let touched = Double(max(1, experts)) * expertBytes
    return min(64, max(OutputCheck.tokens, Int((4 * Double(cacheBytes) / touched).rounded(.up)) + 1))
  }

  /// Enough batches that the experts of one have left the caches when its turn comes again.
  func batches(of tokens: Int) throws -> TokenBatches {
    let count = batchCount(of: tokens)
    let bytes = count * tokens * layer.hidden * MemoryLayout<Float>.size
    try AvailableMemory.demand(bytes + tokens * layer.configuration.topK * (layer.hidden + layer.configuration.intermediate) * 4, for: "\(tokens) tokens")
    var random = SeededRandom(seed: seed ^ 0x7468_6973)
    let checked = (0..<OutputCheck.tokens).map { _ in random.even(layer.hidden) }
    if check == nil { check = OutputCheck(layer, states: checked, pool: machine.pool) }
    return TokenBatches(count: count, tokens: tokens, hidden: layer.hidden, checked: checked, &random)
  }

  /// One call on a batch, with the router's experts and weights or those given.
  @discardableResult
  func forward(_ states: TokenBatches, batch: Int, routing: RouterOutput? = nil) throws -> RouterOutput {
    try layer.forward(
      RowView(states.input(batch), count: states.tokens, columns: layer.hidden),
      into: MutableRowView(states.output, count: states.tokens, columns: layer.hidden), routing: routing)
  }

  private func forward(_ states: TokenBatches, batch: Int, finished: (LayerStage) -> Void) throws -> RouterOutput {
    try layer.forward(
      RowView(states.input(batch), count: states.tokens, columns: layer.hidden),
      into: MutableRowView(states.output, count: states.tokens, columns: layer.hidden), finished: finished)
  }

  private func checkOutputs(_ states: TokenBatches, longest: inout Double) throws -> Double {
    try error(states, isRounded: activations != .float) { batch in
      var routing: RouterOutput?
      longest = max(longest, try elapsed { routing = try forward(states, batch: batch) })
      return routing!
    }
  }

  /// The error against the oracle of outputs that `compute` writes for batches with checked tokens; it returns their experts and weights.
  func error(_ states: TokenBatches, isRounded: Bool, compute: (_ batch: Int) throws -> RouterOutput) throws -> Double {
    var outputs: [(token: Int, row: [Float], routing: [(expert: Int, weight: Float)])] = []
    for (batch, places) in states.checkedPlaces {
      states.output.update(repeating: .nan, count: states.tokens * layer.hidden)
      let routing = try compute(batch)
      for (token, row) in places {
        let values = UnsafeBufferPointer(start: states.output + row * layer.hidden, count: layer.hidden)
        outputs.append((token, Array(values), routing.assignments(of: row)))
      }
    }
    return check!.error(outputs, isRounded: isRounded)
  }

  private func time(_ states: TokenBatches, peaks: Peaks, seconds: Double, isSlow: Bool) throws -> Row.Times {
    var samples: [Double] = [], calls: [CallWork] = [], total = 0.0
    var stages = StageTimes()
    let warmUp = isSlow ? 0 : min(states.count, 4)
    for call in 0... {
      var routing: RouterOutput?
      let batch = call % states.count
      let duration = try elapsed {
        routing = try isSlow ? stages.watch { try forward(states, batch: batch, finished: $0) } : forward(states, batch: batch)
      }
      guard call >= warmUp || call > 0 && duration > seconds else { continue }
      calls.append(CallWork(routing!, experts: layer.weights.experts.count))
      samples.append(duration)
      total += duration
      if samples.count >= 2000 || total >= seconds && samples.count >= 5 || total >= 4 * seconds && samples.count >= 3 { break }
    }
    if !isSlow { try watch(&stages, states, seconds: seconds / 4) }
    return times(samples, calls, peaks: peaks, stages: stages)
  }

  /// What a row tells of calls that took these seconds and did this work.
  func times(_ samples: [Double], _ calls: [CallWork], peaks: Peaks, stages: StageTimes = StageTimes()) -> Row.Times {
    let median = samples.median, mean = { (values: [Int]) in Double(values.reduce(0, +)) / Double(values.count) }
    let products = self.products(rows: mean(calls.map(\.rows)), tokens: mean(calls.map(\.tokens)))
    let bytes = mean(calls.map(\.distinct)) * expertBytes + Double(layer.weights.publishedBytesBesideRouted)
    let operations = products.reduce(0) { $0 + $1.operations }
    let arithmetic = products.reduce(0 as Double?) { sum, product in
      guard let sum, let peak = peaks.operations(product.arithmetic) else { return nil }
      return sum + product.operations / (peak * 1e9)
    }
    let floor = arithmetic.map { max(bytes / (peaks.readGBps * 1e9), $0) }
    return Row.Times(
      medianMs: median * 1e3, minMs: (samples.min() ?? .nan) * 1e3, spread: (samples.quantile(0.75) - samples.quantile(0.25)) / median,
      gflops: operations / median / 1e9, weightGBps: bytes / median / 1e9, roofline: floor.map { $0 / median },
      samplesMs: samples.thinned(to: Row.keptSamples).map { $0 * 1e3 }, stagesMs: stages.medians)
  }

  /// Stages over calls of their own, so that looking at the clock between them is in no row's time.
  private func watch(_ stages: inout StageTimes, _ states: TokenBatches, seconds: Double) throws {
    while stages.calls < 3 || stages.total < seconds && stages.calls < 500 {
      let batch = stages.calls % states.count
      _ = try stages.watch { try forward(states, batch: batch, finished: $0) }
    }
  }

  /// Operations of each matrix product of a call, 2 a multiply-add, and the arithmetic they are done in.
  private func products(rows: Double, tokens: Double) -> [(operations: Double, arithmetic: GEMMArithmetic)] {
    func product(_ matrix: PackedMatrix, _ rows: Double) -> (operations: Double, arithmetic: GEMMArithmetic) {
      let isRounded = device == .cpu && matrix.suitsRounded
      let arithmetic = isRounded ? machine.kernels.arithmetic(matrix.format, on: activations) : nil
      return (2 * rows * Double(matrix.rows) * Double(matrix.columns), arithmetic ?? .float)
    }
    func products(_ expert: Expert, _ rows: Double) -> [(operations: Double, arithmetic: GEMMArithmetic)] {
      [expert.gate, expert.up, expert.down].compactMap { $0 }.map { product($0, rows) }
    }
    let weights = layer.weights
    return products(weights.experts.experts[0], rows) + (weights.shared.map { products($0.experts[0], tokens) } ?? [])
      + [weights.latentIn, weights.latentOut].compactMap { $0 }.map { product($0, tokens) }
  }
}

/// What one call had to do.
struct CallWork {
  let tokens: Int
  /// Rows that experts computed, and how many experts that were.
  let rows: Int, distinct: Int

  /// - Parameter experts: those that compute; ids beyond them do not.
  init(_ routing: RouterOutput, experts: Int) {
    let real = routing.expertIDs.filter { $0 < experts }
    (tokens, rows, distinct) = (routing.tokens, real.count, Set(real).count)
  }
}
