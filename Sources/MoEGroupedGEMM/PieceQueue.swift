// Who computes which piece of a stage: every worker reads on through its own share of the pieces, then helps the others.

internal import MoEPlacement
internal import MoETensors
internal import Synchronization

/// Work that is cut into pieces, neighbours in memory being neighbours in number.
protocol PieceWork {
  var pieces: Int { get }
  func perform(piece: Int, worker: Int)
}

/// The pieces of one work: a share of neighbouring ones for each worker, taken from its front by the worker and from its back by the others.
private struct PieceQueue {
  /// The pieces of a share that nobody has taken: first in the low half, end in the high half.
  private typealias Share = Atomic<UInt64>
  private static let cacheLine = 64
  private let shares: UnsafeMutableRawPointer
  private let workers: Int

  static func bytes(workers: Int) -> Int { workers * cacheLine }

  init(pieces: Int, workers: Int, at memory: UnsafeMutableRawPointer) {
    precondition(pieces <= Int(UInt32.max))
    (shares, self.workers) = (memory, workers)
    for worker in 0..<workers {
      let first = pieces * worker / workers, end = pieces * (worker + 1) / workers
      share(worker).initialize(to: Share(UInt64(end) << 32 | UInt64(first)))
    }
  }

  private func share(_ worker: Int) -> UnsafeMutablePointer<Share> {
    (shares + worker * Self.cacheLine).assumingMemoryBound(to: Share.self)
  }

  /// The next piece for a worker; nil when none is left.
  func take(_ worker: Int) -> Int? {
    if let piece = take(from: worker, atFront: true) { return piece }
    for other in 1..<max(1, workers) {
      if let piece = take(from: (worker + other) % workers, atFront: false) { return piece }
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
  let first: UnsafePointer<First>?, firstQueue: PieceQueue, second: UnsafePointer<Second>, secondQueue: PieceQueue

  func perform(task share: Int, worker: Int) {
    if let first { while let piece = firstQueue.take(share) { first.pointee.perform(piece: piece, worker: worker) } }
    while let piece = secondQueue.take(share) { second.pointee.perform(piece: piece, worker: worker) }
  }
}

extension WorkerPool {
  /// Performs all pieces of a work.
  func run<Work: PieceWork>(_ work: Work, queues: GrowableBuffer) { run(nil as Work?, work, queues: queues) }

  /// Performs all pieces of both without a barrier between them; the shared expert's, which have the most rows each, begin first.
  func run<Work: PieceWork>(_ shared: Work?, _ routed: Work, queues: GrowableBuffer) {
    let sharedPieces = shared?.pieces ?? 0, pieces = max(sharedPieces, routed.pieces)
    guard pieces > 0 else { return }
    let workers = min(threads, sharedPieces + routed.pieces), bytes = PieceQueue.bytes(workers: workers)
    let memory: UnsafeMutablePointer<UInt8> = queues.room(for: 2 * bytes)
    let sharedQueue = PieceQueue(pieces: sharedPieces, workers: workers, at: memory)
    let routedQueue = PieceQueue(pieces: routed.pieces, workers: workers, at: memory + bytes)
    withUnsafePointer(to: routed) { routed in
      if let shared {
        withUnsafePointer(to: shared) { shared in
          run(tasks: workers, Shares(first: shared, firstQueue: sharedQueue, second: routed, secondQueue: routedQueue))
        }
      } else {
        run(tasks: workers, Shares<Work, Work>(first: nil, firstQueue: sharedQueue, second: routed, secondQueue: routedQueue))
      }
    }
  }
}
