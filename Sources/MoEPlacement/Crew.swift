// The threads of a worker pool and the protocol by which they share the tasks of a call.

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import Synchronization

/// What is being shared out. Written by the caller before tasks are offered, read only by a worker that holds a task.
private struct Job {
  var tasks: Int
  var work: UnsafeRawPointer
  var type: any (ParallelWork & ~Copyable).Type
}

/// A worker takes a task by lowering `remaining` from n to n - 1: it then holds task `tasks - n`. Taking one is also the proof that
/// the call is not over, because `unfinished` reaches 0, and the caller returns, only after every holder has reported. So a late
/// worker can never touch a finished call, and the caller waits for tasks, never for threads.
final class Crew: Sendable {
  let threads: Int
  private let spinNanoseconds: UInt64
  /// The CPUs that the pool's maker could use.
  private let cpus: [Int]
  /// Those of each node, where there are several.
  private let nodes: [[Int]]
  private let pinning: Pinning
  private let remaining = Atomic<Int>(0)
  private let unfinished = Atomic<Int>(0)
  private let sleepers = Atomic<Int>(0)
  private let callerSleeps = Atomic<Bool>(false)
  private let dismissed = Atomic<Bool>(false)
  nonisolated(unsafe) private let job: UnsafeMutablePointer<Job>
  private let signals = Signals()
  /// Whether the workers were started; guarded by `signals.callers`.
  private let started = Atomic<Bool>(false)
  /// Workers that the system did not start, or not bind; and the errno of the last binding that failed.
  private let missing = Atomic<Int>(0), unbound = Atomic<Int>(0), bindingStatus = Atomic<Int32>(0)
  nonisolated(unsafe) private let seats: UnsafeMutablePointer<Seat>
  /// Thread-specific: worker + 1 while the thread is inside this crew's tasks.
  private let workerKey: pthread_key_t

  /// The CPU left to the caller where each worker has another of the pool's; guarded by `signals.callers`, as the seats' are.
  nonisolated(unsafe) private let callersCPU = UnsafeMutablePointer<Int?>.allocate(capacity: 1)

  /// Which CPU each worker is kept on.
  enum Pinning {
    case none
    /// Any but the caller's.
    case besideCaller
    /// One to which fewest threads of the process are bound.
    case apart
    /// Any of a node.
    case toNodes
  }

  /// - Parameters:
  ///   - cpus: what the workers may run on.
  ///   - nodes: those of each node, where there are several.
  init(threads: Int, spinNanoseconds: UInt64, cpus: [Int], nodes: [[Int]], pinning: Pinning) throws(PoolError) {
    var key = pthread_key_t()
    let status = pthread_key_create(&key, nil)
    guard status == 0 else { throw .failed(call: "pthread_key_create", status: status) }
    workerKey = key
    self.threads = threads
    self.spinNanoseconds = spinNanoseconds
    self.cpus = cpus
    self.nodes = nodes
    self.pinning = pinning
    job = .allocate(capacity: 1)
    job.initialize(to: Job(tasks: 0, work: UnsafeRawPointer(job), type: NoWork.self))
    seats = .allocate(capacity: threads)
    seats.initialize(repeating: Seat(), count: threads)
    callersCPU.initialize(to: nil)
    signals.prepare()
  }

  deinit {
    job.deinitialize(count: 1).deallocate()
    signals.free()
    seats.deinitialize(count: threads).deallocate()
    callersCPU.deinitialize(count: 1).deallocate()
    pthread_key_delete(workerKey)
  }

  /// The worker this thread is, inside a task of this crew.
  var currentWorker: Int? {
    pthread_getspecific(workerKey).map { Int(bitPattern: $0) - 1 }
  }

  private func setCurrentWorker(_ worker: Int?) {
    pthread_setspecific(workerKey, worker.flatMap { UnsafeMutableRawPointer(bitPattern: $0 + 1) })
  }

  /// Runs `body` on this thread as worker 0, after the callers that came before.
  func asWorkerZero(_ body: () -> Void) {
    pthread_mutex_lock(signals.callers)
    setCurrentWorker(0)
    withDefaultFloatingPoint(body)
    setCurrentWorker(nil)
    pthread_mutex_unlock(signals.callers)
  }

  /// Performs all tasks, this thread and the workers together.
  func share<Work: ParallelWork & ~Copyable>(tasks: Int, work: UnsafePointer<Work>) {
    asWorkerZero {
      startWorkers()
      makeWay()
      job.pointee = Job(tasks: tasks, work: UnsafeRawPointer(work), type: Work.self)
      unfinished.store(tasks, ordering: .relaxed)
      remaining.store(tasks, ordering: .sequentiallyConsistent)
      wake(atMost: tasks - 1)
      takeTasks(worker: 0)
      waitForOthers()
    }
  }

  private func wake(atMost limit: Int) {
    let sleeping = sleepers.load(ordering: .sequentiallyConsistent)
    guard sleeping > 0 else { return }
    pthread_mutex_lock(signals.state)
    if limit >= sleeping {
      pthread_cond_broadcast(signals.tasksOffered)
    } else {
      for _ in 0..<limit { pthread_cond_signal(signals.tasksOffered) }
    }
    pthread_mutex_unlock(signals.state)
  }

  private func waitForOthers() {
    if spin(until: { unfinished.load(ordering: .acquiring) == 0 }) { return }
    pthread_mutex_lock(signals.state)
    callerSleeps.store(true, ordering: .sequentiallyConsistent)
    while unfinished.load(ordering: .sequentiallyConsistent) != 0 {
      pthread_cond_wait(signals.allDone, signals.state)
    }
    callerSleeps.store(false, ordering: .relaxed)
    pthread_mutex_unlock(signals.state)
  }

  private func takeTasks(worker: Int) {
    var done = 0
    var left = remaining.load(ordering: .relaxed)
    while left > 0 {
      let (taken, seen) = remaining.weakCompareExchange(expected: left, desired: left - 1, ordering: .acquiring)
      guard taken else {
        left = seen
        continue
      }
      let job = job.pointee
      job.type.perform(at: job.work, task: job.tasks - left, worker: worker)
      done += 1
      left = remaining.load(ordering: .relaxed)
    }
    guard done > 0, unfinished.subtract(done, ordering: .sequentiallyConsistent).newValue == 0 else { return }
    if callerSleeps.load(ordering: .sequentiallyConsistent) {
      pthread_mutex_lock(signals.state)
      pthread_cond_signal(signals.allDone)
      pthread_mutex_unlock(signals.state)
    }
  }

  private var isCalled: Bool {
    remaining.load(ordering: .sequentiallyConsistent) > 0 || dismissed.load(ordering: .sequentiallyConsistent)
  }

  /// The life of a thread: take tasks, wait for more, until dismissed.
  func work(worker: Int) {
    setCurrentWorker(worker)
    useDefaultFloatingPoint()
    while !dismissed.load(ordering: .acquiring) {
      takeTasks(worker: worker)
      if spin(until: { isCalled }) { continue }
      pthread_mutex_lock(signals.state)
      sleepers.add(1, ordering: .sequentiallyConsistent)
      while !isCalled { pthread_cond_wait(signals.tasksOffered, signals.state) }
      sleepers.subtract(1, ordering: .relaxed)
      pthread_mutex_unlock(signals.state)
    }
  }

  private func spin(until condition: () -> Bool) -> Bool {
    if condition() { return true }
    guard spinNanoseconds > 0 else { return false }
    let end = monotonicNanoseconds() + spinNanoseconds
    repeat {
      for _ in 0..<32 where condition() { return true }
    } while monotonicNanoseconds() < end
    return false
  }

  /// Starts the workers at the first shared call. A thread the system refuses is done without: the others take its tasks.
  private func startWorkers() {
    guard !started.exchange(true, ordering: .relaxed) else { return }
    // Where the thread that starts them, whose mask they inherit, has other CPUs than the pool, those that are not pinned get the pool's.
    let own = pinnedCPUs(), shared = CPULimits.allowedCPUs() == cpus ? [] : cpus
    for worker in 1..<threads {
      // The thread does not own the crew, which joins it before it goes.
      let crew = Unmanaged.passUnretained(self)
      seats[worker].thread = try? SystemThread(stackBytes: 4 << 20) { crew.takeUnretainedValue().work(worker: worker) }
      guard seats[worker].thread != nil else {
        missing.add(1, ordering: .relaxed)
        continue
      }
      seats[worker].cpu = own.isEmpty || pinning == .toNodes ? nil : own[worker - 1]
      let node = own.isEmpty ? nil : nodes.first { $0.contains(own[worker - 1]) }
      bind(worker, to: seats[worker].cpu.map { [$0] } ?? node ?? shared)
    }
    let left = cpus.filter { !own.contains($0) }
    callersCPU.pointee = pinning == .besideCaller && left.count == 1 ? left[0] : nil
  }

  /// A CPU for each worker, where they are pinned.
  private func pinnedCPUs() -> [Int] {
    guard pinning != .none else { return [] }
    return CPUBinding.cpus(
      for: threads - 1, of: cpus, on: nodes, bound: pinning == .apart ? CPUBinding.boundThreads() : [:], caller: CPUBinding.current(),
      siblings: CPUBinding.siblings)
  }

  /// Where the caller has come to the CPU of a worker, moves that worker to the one that was left: the system would let both share one.
  private func makeWay() {
    guard let left = callersCPU.pointee, let cpu = CPUBinding.current(), cpu != left else { return }
    for worker in 1..<threads where seats[worker].cpu == cpu {
      guard let thread = seats[worker].thread, CPUBinding.bind(thread.handle, to: CollectionOfOne(left)) == 0 else { return }
      seats[worker].cpu = left
      callersCPU.pointee = cpu
    }
  }

  /// Keeps a worker on these CPUs; on those it inherited where there are none or the system refuses.
  private func bind(_ worker: Int, to cpus: [Int]) {
    guard !cpus.isEmpty, let thread = seats[worker].thread else { return }
    let status = CPUBinding.bind(thread.handle, to: cpus)
    guard status != 0 else { return }
    seats[worker].cpu = nil
    bindingStatus.store(status, ordering: .relaxed)
    unbound.add(1, ordering: .relaxed)
  }

  /// What the system refused since the workers were started.
  var notes: [String] {
    var notes: [String] = []
    let missing = missing.load(ordering: .relaxed), unbound = unbound.load(ordering: .relaxed)
    if missing > 0 { notes.append("\(missing) of \(threads) threads could not be started: the others do their work") }
    if unbound > 0 {
      notes.append("\(unbound) of \(threads) threads are not bound to CPUs: pthread_setaffinity_np failed, errno \(bindingStatus.load(ordering: .relaxed))")
    }
    return notes
  }

  /// Ends the threads; with `joining` false (a forked child) there are none to wait for.
  func dismiss(joining: Bool) {
    guard joining, started.load(ordering: .acquiring) else { return }
    dismissed.store(true, ordering: .sequentiallyConsistent)
    pthread_mutex_lock(signals.state)
    pthread_cond_broadcast(signals.tasksOffered)
    pthread_mutex_unlock(signals.state)
    for worker in 1..<threads { seats[worker].thread?.join() }
  }

  /// In a forked child: no threads, fresh locks.
  func renew() {
    remaining.store(0, ordering: .relaxed)
    unfinished.store(0, ordering: .relaxed)
    sleepers.store(0, ordering: .relaxed)
    callerSleeps.store(false, ordering: .relaxed)
    for worker in 0..<threads { seats[worker] = Seat() }
    started.store(false, ordering: .relaxed)
    missing.store(0, ordering: .relaxed)
    unbound.store(0, ordering: .relaxed)
    signals.prepare()
  }
}

private struct NoWork: ParallelWork {
  func perform(task: Int, worker: Int) {}
}

extension ParallelWork where Self: ~Copyable {
  /// `perform` through a pointer to the caller's value; the type travels as a metatype, so nothing is boxed.
  fileprivate static func perform(at work: UnsafeRawPointer, task: Int, worker: Int) {
    work.assumingMemoryBound(to: Self.self).pointee.perform(task: task, worker: worker)
  }
}
