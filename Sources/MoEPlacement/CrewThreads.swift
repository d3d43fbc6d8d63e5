// What a crew is made of: locks, conditions, the seats of its workers.

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

/// One worker's thread, where it was started, and the only CPU that it is kept on, where it is kept on one.
struct Seat {
  var thread: SystemThread?
  var cpu: Int?
}
