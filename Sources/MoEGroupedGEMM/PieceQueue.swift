// Who computes which piece of a stage: every worker reads on through its own share of the pieces, then helps the others.

internal import MoEPlacement
internal import MoETensors
internal import Synchronization

/// Work that is cut into pieces, neighbours in memory being neighbours in number.
protocol PieceWork {
  var pieces: Int { get }
  /// The nodes that the work's weights are divided over; nil for one place.
  var nodes: NodeMap? { get }
  /// Pieces of a node, those of the first node first.
  func pieces(of node: Int) -> Range<Int>
  /// - Parameter node: the one that the worker computes for; 0 where there is one place.
  func perform(piece: Int, worker: Int, node: Int)
}

extension PieceWork {
  var nodes: NodeMap? { nil }
  func pieces(of node: Int) -> Range<Int> { 0..<pieces }
}

/// The pieces of one work: a share of neighbouring ones for each worker, taken from its front by the worker and from its back by the others.
///
/// Where the work is divided over nodes, the workers that run on a node have the shares of its pieces; they help one another before they help
/// the workers of other nodes.
private struct PieceQueue {
  /// The pieces of a share that nobody has taken: first in the low half, end in the high half.
  private typealias Share = Atomic<UInt64>
  private static let cacheLine = 64
  private let memory: UnsafeMutableRawPointer
  private let nodes: NodeMap?, workers: Int

  /// Bytes of the queues that `workers` workers take from.
  static func bytes(_ work: some PieceWork, workers: Int) -> Int {
    (work.nodes.map { $0.firstWorkers[$0.count] + $0.count } ?? workers) * cacheLine
  }

  init(_ work: some PieceWork, workers: Int, at memory: UnsafeMutableRawPointer) {
    precondition(work.pieces <= Int(UInt32.max))
    (self.memory, nodes) = (memory, work.nodes)
    self.workers = nodes.map { $0.firstWorkers[$0.count] } ?? workers
    for node in 0..<(nodes?.count ?? 1) {
      let pieces = work.pieces(of: node), workers = team(node)
      for (index, worker) in workers.enumerated() {
        let first = pieces.lowerBound + pieces.count * index / workers.count, end = pieces.lowerBound + pieces.count * (index + 1) / workers.count
        share(worker).initialize(to: Share(UInt64(end) << 32 | UInt64(first)))
      }
      if nodes != nil { arrivals(node).initialize(to: Atomic(0)) }
    }
  }

  private func team(_ node: Int) -> Range<Int> { nodes.map { $0.workers(of: node) } ?? 0..<workers }

  private func share(_ worker: Int) -> UnsafeMutablePointer<Share> {
    (memory + worker * Self.cacheLine).assumingMemoryBound(to: Share.self)
  }

  /// How many workers have come to a node.
  private func arrivals(_ node: Int) -> UnsafeMutablePointer<Atomic<Int>> {
    (memory + (workers + node) * Self.cacheLine).assumingMemoryBound(to: Atomic<Int>.self)
  }

  /// Performs pieces of `work` until none is left: those of the thread's own share, of its node's others, of the other nodes.
  func perform(_ work: UnsafePointer<some PieceWork>, task: Int, worker: Int) {
    var own = task, node = 0
    if let nodes {
      node = nodes.current ?? task % nodes.count
      let team = team(node)
      own = team.lowerBound + arrivals(node).pointee.add(1, ordering: .relaxed).oldValue % team.count
    }
    let team = team(node)
    while let piece = take(from: own, atFront: true) ?? help(own, in: team) ?? (nodes == nil ? nil : help(own, in: 0..<workers)) {
      work.pointee.perform(piece: piece, worker: worker, node: node)
    }
  }

  /// A piece of the workers that follow `own` in a team.
  private func help(_ own: Int, in team: Range<Int>) -> Int? {
    for other in 1..<max(1, team.count) {
      let worker = team.lowerBound + (own - team.lowerBound + other) % team.count
      if let piece = take(from: worker, atFront: false) { return piece }
    }
    return nil
  }

  private func take(from worker: Int, atFront: Bool) -> Int? {
    let share = share(worker)
    var left = share.pointee.load(ordering: .relaxed)
    while true {
      let first = left & 0xffff_ffff, end = left >> 32
      guard first < end else { return nil }
      let (taken, seen) = share.pointee.weakCompareExchange(
        expected: left, desired: atFront ? left + 1 : left - 1 << 32, ordering: .relaxed)
      if taken { return Int(atFront ? first : end - 1) }
      left = seen
    }
  }
}

/// What one worker does of two works: all pieces of the first that it can get, then of the second.
private struct Shares<First: PieceWork, Second: PieceWork>: ParallelWork {
  let first: UnsafePointer<First>?, firstQueue: PieceQueue?, second: UnsafePointer<Second>, secondQueue: PieceQueue

  func perform(task share: Int, worker: Int) {
    if let first, let firstQueue { firstQueue.perform(first, task: share, worker: worker) }
    secondQueue.perform(second, task: share, worker: worker)
  }
}

extension WorkerPool {
  /// Performs all pieces of a work.
  func run<Work: PieceWork>(_ work: Work, queues: GrowableBuffer) { run(nil as Work?, work, queues: queues) }

  /// Performs all pieces of both without a barrier between them; the shared expert's, which have the most rows each, begin first.
  func run<Work: PieceWork>(_ shared: Work?, _ routed: Work, queues: GrowableBuffer) {
    let pieces = (shared?.pieces ?? 0) + routed.pieces
    guard pieces > 0 else { return }
    let workers = min(threads, pieces), sharedBytes = shared.map { PieceQueue.bytes($0, workers: workers) } ?? 0
    let memory: UnsafeMutablePointer<UInt8> = queues.room(for: sharedBytes + PieceQueue.bytes(routed, workers: workers))
    let sharedQueue = shared.map { PieceQueue($0, workers: workers, at: memory) }
    let routedQueue = PieceQueue(routed, workers: workers, at: memory + sharedBytes)
    withUnsafePointer(to: routed) { routed in
      if let shared {
        withUnsafePointer(to: shared) { shared in
          run(tasks: workers, Shares(first: shared, firstQueue: sharedQueue, second: routed, secondQueue: routedQueue))
        }
      } else {
        run(tasks: workers, Shares<Work, Work>(first: nil, firstQueue: nil, second: routed, secondQueue: routedQueue))
      }
    }
  }
}
