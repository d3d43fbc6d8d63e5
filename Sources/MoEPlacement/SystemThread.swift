// Threads of the system's library: with a stack of their own size and without signals, which are the application's business.

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A thread that blocks all signals.
package struct SystemThread: @unchecked Sendable {
  let handle: pthread_t

  /// Why there is no thread.
  package struct Refusal: Error, CustomStringConvertible {
    /// The errno of `pthread_create`.
    package let status: Int32
    package var description: String { "pthread_create failed, errno \(status)" }
  }

  /// Starts the thread; `join` or `detach` has to follow.
  ///
  /// - Throws: when the system refuses one.
  package init(stackBytes: Int, _ body: @escaping @Sendable () -> Void) throws(Refusal) {
    var all = sigset_t(), previous = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_BLOCK, &all, &previous)
    defer { pthread_sigmask(SIG_SETMASK, &previous, nil) }
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, stackBytes)
    let life = Unmanaged.passRetained(Life(body))
    #if canImport(Darwin)
    var started: pthread_t?
    let status = pthread_create(&started, &attributes, { begin($0); return nil }, life.toOpaque())
    #else
    var started: pthread_t? = pthread_t()
    let status = pthread_create(&started!, &attributes, { if let life = $0 { begin(life) }; return nil }, life.toOpaque())
    #endif
    guard status == 0, let started else {
      life.release()
      throw Refusal(status: status)
    }
    handle = started
  }

  /// Waits for the thread's end.
  package func join() { pthread_join(handle, nil) }

  /// Lets the thread end by itself.
  package func detach() { pthread_detach(handle) }

  /// Leaves the CPU to every other thread that wants it; for the calling thread, as far as the system can.
  package static func yieldToOthers() {
    #if canImport(Darwin)
    pthread_set_qos_class_self_np(QOS_CLASS_BACKGROUND, 0)
    #else
    // Of PRIO_PROCESS, which libraries have as different types; on Linux a priority is the thread's.
    setpriority(0, 0, 19)
    #endif
  }
}

private final class Life {
  let body: @Sendable () -> Void
  init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

private func begin(_ life: UnsafeMutableRawPointer) { Unmanaged<Life>.fromOpaque(life).takeRetainedValue().body() }
