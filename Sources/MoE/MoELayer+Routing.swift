// Routing of a layer's rows, in parallel over the tokens.

public import MoEFamilies
internal import MoEPlacement
public import MoERouting
internal import MoETensors

extension MoELayer {
  /// Experts and weights of rows [tokens, hidden].
  ///
  /// - Throws: `MoEError.rows` for another width, `.routing` when the router's policy refuses a logit.
  public func route(_ hiddenStates: HiddenStates, sequenceLengths: [Int]? = nil) throws(MoEError) -> RouterOutput {
    guard hiddenStates.hidden == hidden else { throw .rows(expected: [hiddenStates.tokens, hidden], found: [hiddenStates.tokens, hiddenStates.hidden]) }
    return try MoEError.routing { () throws(RoutingError) in
      try weights.router(hiddenStates.values, sequenceLengths: sequenceLengths)
    }
  }

  func route(_ hidden: FloatRows, sequenceLengths: [Int]?, in workspace: Workspace) throws(MoEError) -> RouterOutput {
    let router = weights.router, pool = machine.pool
    let choices = Choices(router.configuration, tokens: hidden.count, workers: pool.threads, in: workspace.choices)
    let logits = LogitWork(router: router, hidden: hidden, choices: choices, threads: pool.threads)
    pool.run(tasks: logits.tasks, logits)
    pool.run(tasks: hidden.count, SelectionWork(router: router, choices: choices))
    do { try router.weigh(choices, sequenceLengths: sequenceLengths, into: &workspace.routing) } catch { throw .routing(error) }
    return workspace.routing
  }

  /// Coefficient of the shared expert for every token: 1, or the sigmoid of its gate.
  func sharedCoefficients(_ hidden: FloatRows, in workspace: Workspace) -> UnsafeBufferPointer<Float> {
    let coefficients: UnsafeMutablePointer<Float> = workspace.sharedCoefficients.room(for: hidden.count)
    if let gate = weights.sharedGate {
      machine.pool.run(tasks: hidden.count, SharedGateWork(router: weights.router, gate: gate, hidden: hidden, coefficients: coefficients))
    } else {
      coefficients.update(repeating: 1, count: hidden.count)
    }
    return UnsafeBufferPointer(start: coefficients, count: hidden.count)
  }
}

/// Logits, some experts of some tokens a task; tokens that meet the same rows of the router's weight follow one another.
///
/// Rows of tokens pass through the caches once for each cut of the experts: as few cuts as keep every thread busy, of weights that stay
/// in a core's own cache.
private struct LogitWork: ParallelWork {
  let router: Router, hidden: FloatRows, choices: Choices
  private let experts: Int, tokenTiles: Int
  private static let tokens = 24, mostExperts = 64, fewestExperts = 16, tasksForEachThread = 4

  init(router: Router, hidden: FloatRows, choices: Choices, threads: Int) {
    (self.router, self.hidden, self.choices) = (router, hidden, choices)
    tokenTiles = (hidden.count + Self.tokens - 1) / Self.tokens
    var experts = Self.mostExperts
    while experts > Self.fewestExperts, tokenTiles * router.configuration.scores < Self.tasksForEachThread * threads * experts { experts /= 2 }
    self.experts = experts
  }

  private var scores: Int { router.configuration.scores }
  var tasks: Int { (scores + experts - 1) / experts * tokenTiles }

  func perform(task: Int, worker: Int) {
    let token = task % tokenTiles * Self.tokens, first = task / tokenTiles * experts
    router.logits(
      of: hidden.row(token), stride: hidden.stride, count: min(Self.tokens, hidden.count - token),
      first..<min(first + experts, scores), into: choices.logits + token * scores)
  }
}

private struct SelectionWork: ParallelWork {
  let router: Router, choices: Choices

  func perform(task token: Int, worker: Int) { router.select(token, worker: worker, in: choices) }
}

private struct SharedGateWork: ParallelWork {
  let router: Router, gate: [Float], hidden: FloatRows, coefficients: UnsafeMutablePointer<Float>

  func perform(task token: Int, worker: Int) { coefficients[token] = router.sigmoid(of: hidden.row(token), gate) }
}
