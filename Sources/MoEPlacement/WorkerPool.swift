// A pool of own threads that hands out numbered tasks.

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import Synchronization

/// Work that is cut into numbered tasks. A pool borrows a value of it: it is neither allocated nor copied, for a call or for a task.
public protocol ParallelWork: ~Copyable {
  /// Does task `task` on worker `worker`; called from several threads at once, never twice for a task.
  func perform(task: Int, worker: Int)
}

/// Threads that share the tasks of one call at a time.
///
/// The calling thread takes part as worker 0; the other `threads - 1` start at the first call that needs them, sleep between calls and
/// end with the pool. Several callers at once take turns. A call from inside a task of the same pool runs there and then, one task after
/// another, on the worker it came from. Tasks run with the default floating-point environment, whatever the caller's is.
///
/// After `fork` the child's first call starts its own workers. A child forked from inside a task must not return from it.
public final class WorkerPool: Sendable {
  /// Workers that take tasks, the caller included.
  public let threads: Int
  /// The most threads a pool can have.
  public static let maximumThreads = 1024

  private let crew: Crew
  /// The process the crew belongs to; `rebuilding` while a forked child renews it.
  private let process: Atomic<Int32>
  private static let rebuilding: Int32 = -1

  /// A pool of `threads` workers, 1 through 1024. No thread starts yet.
  ///
  /// - Parameter pinned: true keeps each worker but the caller on one CPU of the affinity mask, where the pool has at most as many threads as
  ///   there are CPUs: one to which no other thread of the process is bound while there are such. Nil does so where the pool takes every CPU, and
  ///   leaves the caller the one it makes the first call on; false is for engines that place threads themselves.
  /// - Throws: `PoolError`.
  public convenience init(threads: Int, pinned: Bool? = nil) throws(PoolError) {
    try self.init(threads: threads, pinned: pinned, limits: .current())
  }

  /// A pool that takes these for its limits.
  ///
  /// - Parameter nodes: CPUs of each NUMA node. On several the workers are spread over them by their CPUs, each kept on its node unless `pinned`
  ///   says otherwise.
  package init(threads: Int, pinned: Bool?, limits: CPULimits, nodes: [[Int]] = []) throws(PoolError) {
    guard 1...Self.maximumThreads ~= threads else { throw .threads(threads) }
    self.threads = threads
    let takesEveryCPU = threads == limits.threads && threads == limits.cpus.count
    let own = nodes.map { $0.filter(limits.cpus.contains) }.filter { !$0.isEmpty }, nodes = own.count > 1 ? own : []
    let pinning: Crew.Pinning = pinned.map { $0 ? .apart : .none } ?? (takesEveryCPU ? .besideCaller : nodes.isEmpty ? .none : .toNodes)
    // Waiting by spinning pays only while every worker has a CPU of its own.
    crew = try Crew(threads: threads, spinNanoseconds: threads <= limits.threads ? 30_000 : 0, cpus: limits.cpus, nodes: nodes, pinning: pinning)
    process = Atomic(getpid())
  }

  /// What the system refused when the workers were started, at the first call that needed them: threads, or their binding to CPUs.
  public var notes: [String] { crew.notes }

  deinit { crew.dismiss(joining: process.load(ordering: .acquiring) == getpid()) }

  /// Runs `body` for every task in `0..<tasks` and returns when all are done.
  ///
  /// Allocates one small box for the closure where the call is shared between threads; `run(tasks:_:)` over `ParallelWork` allocates nothing.
  public func run(tasks: Int, _ body: (_ task: Int, _ worker: Int) -> Void) {
    if threads > 1, tasks > 1, crew.currentWorker == nil {
      withoutActuallyEscaping(body) { run(tasks: tasks, ClosureWork(body: $0)) }
    } else {
      alone(tasks: tasks, body)
    }
  }

  /// Performs every task in `0..<tasks` of `work` and returns when all are done. Allocates nothing once the workers run.
  public func run(tasks: Int, _ work: borrowing some ParallelWork & ~Copyable) {
    if threads > 1, tasks > 1, crew.currentWorker == nil {
      renewAfterFork()
      withUnsafePointer(to: work) { crew.share(tasks: tasks, work: $0) }
    } else {
      alone(tasks: tasks) { work.perform(task: $0, worker: $1) }
    }
  }

  /// All tasks on the calling thread: as the only worker, or inside the task that made the call.
  private func alone(tasks: Int, _ body: (Int, Int) -> Void) {
    guard tasks > 0 else { return }
    if let worker = crew.currentWorker {
      for task in 0..<tasks { body(task, worker) }
    } else {
      renewAfterFork()
      crew.asWorkerZero { for task in 0..<tasks { body(task, 0) } }
    }
  }

  /// In a forked child the workers are gone and the locks are in an unknown state: the first call makes both anew.
  private func renewAfterFork() {
    let own = getpid()
    var owner = process.load(ordering: .acquiring)
    while owner != own {
      if owner == Self.rebuilding {
        sched_yield()
        owner = process.load(ordering: .acquiring)
        continue
      }
      let (taken, seen) = process.compareExchange(expected: owner, desired: Self.rebuilding, ordering: .acquiringAndReleasing)
      if taken {
        crew.renew()
        process.store(own, ordering: .releasing)
        return
      }
      owner = seen
    }
  }
}

private struct ClosureWork: ParallelWork {
  let body: (Int, Int) -> Void
  func perform(task: Int, worker: Int) { body(task, worker) }
}

/// Why a pool could not be made.
public enum PoolError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The number of threads asked for is outside 1...1024.
  case threads(Int)
  /// A call of the threads library failed with this errno.
  case failed(call: String, status: Int32)

  public var description: String {
    switch self {
    case .threads(let count): "a pool has 1 to \(WorkerPool.maximumThreads) threads, not \(count)"
    case .failed(let call, let status): "\(call) failed, errno \(status)"
    }
  }
}
