// The thread that makes the calls into a device's driver, so that one that never returns holds up nobody for longer than its deadline.

#if OpenCL
import MoEPlacement
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A thread for the work on one device, one caller's after the other's.
///
/// Long work lets others in between its pieces. A caller waits for its work, at once or later; only inside a call into the driver does time count.
/// One that overstays is abandoned with the thread: should it return, the thread sleeps for ever, so that it touches nothing the caller has given
/// away.
final class DriverThread: @unchecked Sendable {
  private let state = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private typealias GivenWork = (work: DriverTask, body: () -> Void)
  private var queue: [GivenWork] = []
  private var ends = false, isAbandoned = false
  /// When the call that is being made has to be back, in nanoseconds of `clock`; 0 outside calls, -1 when nobody waits for it any more.
  private let due = Atomic<Int>(0)
  private var call = ""
  private var serving: pthread_t?
  private let start = ContinuousClock.now
  private let process = getpid()

  /// - Throws: `OpenCLError` of `pthread_create` when the system refuses a thread.
  init() throws(OpenCLError) {
    state.initialize(to: pthread_mutex_t())
    pthread_mutex_init(state, nil)
    changed.initialize(to: pthread_cond_t())
    pthread_cond_init(changed, nil)
    // Drivers compile on it.
    do { try SystemThread(stackBytes: 16 << 20) { self.serve() }.detach() } catch {
      throw OpenCLError(call: "pthread_create", status: error.status)
    }
  }

  deinit {
    state.deallocate()
    changed.deallocate()
  }

  /// Lets the thread end after the work it is at.
  func end() {
    pthread_mutex_lock(state)
    ends = true
    pthread_cond_broadcast(changed)
    pthread_mutex_unlock(state)
  }

  /// Hands `body` to the thread, to run after earlier work; `finish` has to follow before what it touches is given away.
  ///
  /// - Throws: `OpenCLError` of `fork` in a child of the process that opened the device.
  func start<Value>(_ body: @escaping () throws(OpenCLError) -> Value) throws(OpenCLError) -> DriverWork<Value> {
    guard getpid() == process else {
      throw OpenCLError(call: "fork", status: -34, detail: "the device belongs to the process that opened it")
    }
    pthread_mutex_lock(state)
    defer { pthread_mutex_unlock(state) }
    let work = DriverWork<Value>()
    queue.append((work, { do throws(OpenCLError) { work.result = .success(try body()) } catch { work.result = .failure(error) } }))
    pthread_cond_broadcast(changed)
    return work
  }

  /// Waits until work that was started is done.
  ///
  /// - Returns: nil when a call into the driver, in this or other work, is not back in time.
  /// - Throws: what its body did.
  func finish<Value>(_ work: DriverWork<Value>) throws(OpenCLError) -> Value? {
    pthread_mutex_lock(state)
    defer { pthread_mutex_unlock(state) }
    while !work.isDone {
      guard !isAbandoned else { return nil }
      sleepAWhile()
      let due = due.load(ordering: .acquiring)
      if due > 0, clock > due, self.due.compareExchange(expected: due, desired: -1, ordering: .acquiringAndReleasing).exchanged {
        isAbandoned = true
        pthread_cond_broadcast(changed)
      }
    }
    return try work.result!.get()
  }

  /// Makes a call into the driver; on the thread.
  func making<Value>(_ call: String, within deadline: Duration, _ body: () -> Value) -> Value {
    self.call = call
    due.store(clock + nanoseconds(deadline), ordering: .releasing)
    let value = body()
    if due.exchange(0, ordering: .acquiringAndReleasing) < 0 { while true { sleep(.max) } }
    return value
  }

  /// The call that did not come back; after `finish` returned nil.
  var stuckIn: String { call }

  /// True on the thread.
  var isServing: Bool {
    pthread_mutex_lock(state)
    defer { pthread_mutex_unlock(state) }
    return serving.map { pthread_equal($0, pthread_self()) != 0 } ?? false
  }

  /// Does what others have given so far; on the thread, inside work that leaves nothing half done here.
  func letOthersIn() {
    pthread_mutex_lock(state)
    let count = queue.count
    pthread_mutex_unlock(state)
    for _ in 0..<count { if let next = next(waiting: false) { perform(next) } }
  }

  private func serve() {
    pthread_mutex_lock(state)
    serving = pthread_self()
    pthread_mutex_unlock(state)
    while let next = next(waiting: true) { perform(next) }
  }

  /// The work to do next; nil when there is none, or the thread may end.
  private func next(waiting: Bool) -> GivenWork? {
    pthread_mutex_lock(state)
    defer { pthread_mutex_unlock(state) }
    while waiting, queue.isEmpty, !ends { pthread_cond_wait(changed, state) }
    return queue.isEmpty ? nil : queue.removeFirst()
  }

  /// What the work held is given back outside the mutex: that may be work of its own.
  private func perform(_ given: GivenWork) {
    given.body()
    pthread_mutex_lock(state)
    given.work.isDone = true
    pthread_cond_broadcast(changed)
    pthread_mutex_unlock(state)
  }

  private var clock: Int { nanoseconds(ContinuousClock.now - start) }

  /// Waits for a change, or a part of a second: the system's clock may be set meanwhile.
  private func sleepAWhile() {
    var until = timespec()
    clock_gettime(CLOCK_REALTIME, &until)
    until.tv_nsec += 50_000_000
    if until.tv_nsec >= 1_000_000_000 { (until.tv_sec, until.tv_nsec) = (until.tv_sec + 1, until.tv_nsec - 1_000_000_000) }
    pthread_cond_timedwait(changed, state, &until)
  }
}

/// Work that a thread was given.
class DriverTask: @unchecked Sendable {
  fileprivate final var isDone = false

  fileprivate init() {}
}

/// Work with its outcome, once it is done.
final class DriverWork<Value>: DriverTask, @unchecked Sendable {
  fileprivate var result: Result<Value, OpenCLError>?
}

private func nanoseconds(_ duration: Duration) -> Int {
  Int(min(duration.components.seconds, 1 << 32)) * 1_000_000_000 + Int(duration.components.attoseconds / 1_000_000_000)
}
#endif
