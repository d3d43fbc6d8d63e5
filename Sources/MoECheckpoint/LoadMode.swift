// How a file's bytes come into memory.

/// How a file's bytes come into memory.
public enum LoadMode: Sendable, Hashable {
  /// Mapped read-only: pages are read when touched and shared with other processes.
  ///
  /// A file that is truncated after it was opened, or a network file system that fails, kills the process by SIGBUS at the next
  /// touch; a library cannot catch that. Use `.copied` for files that others may change.
  case mapped
  /// Read at once into memory owned by the reader; later changes of the file have no effect.
  case copied
}
