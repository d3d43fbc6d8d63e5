// The workspaces that a machine keeps for calls that bring none.

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Workspaces that no call uses, behind a lock of the threads library: the thread sanitizer follows it also where callers wait.
final class IdleWorkspaces: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var workspaces: [Workspace] = []

  init() {
    mutex.initialize(to: pthread_mutex_t())
    pthread_mutex_init(mutex, nil)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  func take() -> Workspace? { locked { $0.popLast() } }

  func keep(_ workspace: Workspace) { locked { $0.append(workspace) } }

  func removeAll() { locked { $0 = [] } }

  private func locked<Result>(_ body: (inout [Workspace]) -> Result) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body(&workspaces)
  }
}
