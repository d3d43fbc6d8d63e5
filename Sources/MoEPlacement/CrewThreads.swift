// What a crew is made of at the level of the threads library: locks, conditions, threads.

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The locks and conditions of a crew, at addresses that never change.
struct Signals: @unchecked Sendable {
  /// Held by the caller whose turn it is.
  let callers = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  /// Held around every sleep and every wake.
  let state = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  let tasksOffered = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  let allDone = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  /// Makes all four new, whatever they were.
  func prepare() {
    for mutex in [callers, state] {
      mutex.initialize(to: pthread_mutex_t())
      pthread_mutex_init(mutex, nil)
    }
    for condition in [tasksOffered, allDone] {
      condition.initialize(to: pthread_cond_t())
      pthread_cond_init(condition, nil)
    }
  }

  /// Frees the memory. Nothing is destroyed first: in a forked child that could wait for threads that no longer exist.
  func free() {
    for condition in [tasksOffered, allDone] { condition.deallocate() }
    for mutex in [callers, state] { mutex.deallocate() }
  }
}

/// One worker's thread. Refers to the crew without owning it: the crew joins its threads before it goes.
struct Seat {
  var worker: Int
  var crew: Unmanaged<Crew>?
  /// The only CPU that the thread is kept on, where it is kept on one.
  var cpu: Int?
  var running = false
  #if canImport(Darwin)
  var thread: Thread
  #else
  var thread = Thread()
  #endif

  init(worker: Int) { self.worker = worker }
}

private func begin(_ seat: UnsafeMutableRawPointer) {
  let seat = seat.assumingMemoryBound(to: Seat.self)
  let worker = seat.pointee.worker
  guard let crew = seat.pointee.crew else { return }
  crew.takeUnretainedValue().work(worker: worker)
}

#if canImport(Darwin)
typealias Thread = pthread_t?
#else
typealias Thread = pthread_t
#endif

/// Starts the seat's thread; false when the system refuses one.
func startThread(_ attributes: UnsafePointer<pthread_attr_t>, _ seat: UnsafeMutablePointer<Seat>) -> Bool {
  var thread = seat.pointee.thread
  #if canImport(Darwin)
  let status = pthread_create(&thread, attributes, { begin($0); return nil }, seat)
  #else
  let status = pthread_create(&thread, attributes, { if let seat = $0 { begin(seat) }; return nil }, seat)
  #endif
  seat.pointee.thread = thread
  return status == 0
}

/// Waits for the thread's end.
func join(_ thread: Thread) {
  #if canImport(Darwin)
  if let thread { pthread_join(thread, nil) }
  #else
  pthread_join(thread, nil)
  #endif
}
