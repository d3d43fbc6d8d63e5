// A file that appears under its name only when it is whole.

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

/// A file written as `path.partial`, then synced and renamed; whatever goes wrong before, the partial is removed.
package final class PartialFile {
  package let path: String
  private var descriptor: Int32
  /// Holds the lock of a claimed file until it has its name.
  private var lock: Int32 = -1
  private var published = false
  private var isSynced = true
  /// Bytes written so far.
  package private(set) var count = 0

  private var partial: String { path + ".partial" }

  /// Creates `path.partial`, replacing one left by a process that was killed.
  package init(path: String) throws(CheckpointError) {
    guard !path.isEmpty, !path.utf8.contains(0) else {
      throw .invalid(file: path, item: "path", offset: 0, expected: "a path without NUL", found: "'\(path)'")
    }
    self.path = path
    descriptor = open(path + ".partial", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o644)
    // Nothing of ours to remove when the open failed.
    published = descriptor < 0
    guard descriptor >= 0 else { throw .system(file: path + ".partial", call: "open", code: errno) }
  }

  /// Creates `path.partial` unless another process or thread is writing it; one left by a process that was killed is used again.
  ///
  /// - Throws: `.system` with `EWOULDBLOCK` of `flock` when it is being written.
  package init(claiming path: String) throws(CheckpointError) {
    self.path = path
    descriptor = -1
    published = true
    let partial = path + ".partial"
    while lock < 0 {
      let opened = open(partial, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o644)
      guard opened >= 0 else { throw .system(file: partial, call: "open", code: errno) }
      guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
        let code = errno
        close(opened)
        throw .system(file: partial, call: "flock", code: code)
      }
      // The file may have got its name, or gone, between opening and locking: then the lock is on another file than the next writer's.
      var own = stat(), named = stat()
      if fstat(opened, &own) == 0, lstat(partial, &named) == 0, own.st_ino == named.st_ino, own.st_dev == named.st_dev {
        lock = opened
      } else {
        close(opened)
      }
    }
    published = false
    descriptor = dup(lock)
    guard descriptor >= 0, ftruncate(descriptor, 0) == 0 else { throw .system(file: partial, call: "ftruncate", code: errno) }
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
    if !published { unlink(partial) }
    if lock >= 0 { close(lock) }
  }

  /// Leaves a hole up to `offset`, where the next bytes go.
  package func skip(to offset: Int) throws(CheckpointError) {
    guard lseek(descriptor, off_t(offset), SEEK_SET) >= 0 else { throw .system(file: partial, call: "lseek", code: errno) }
    count = offset
  }

  /// Appends `bytes`.
  package func write(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    guard descriptor >= 0 else { throw .system(file: partial, call: "write", code: EBADF) }
    var rest = bytes
    while !rest.isEmpty {
      #if canImport(Glibc)
        let written = Glibc.write(descriptor, rest.baseAddress, min(rest.count, 1 << 30))
      #elseif canImport(Musl)
        let written = Musl.write(descriptor, rest.baseAddress, min(rest.count, 1 << 30))
      #else
        let written = Darwin.write(descriptor, rest.baseAddress, min(rest.count, 1 << 30))
      #endif
      if written < 0 {
        if errno == EINTR { continue }
        throw .system(file: partial, call: "write", code: errno)
      }
      count += written
      rest = UnsafeRawBufferPointer(rebasing: rest[written...])
    }
  }

  /// Appends the bytes of an array.
  package func write(_ bytes: [UInt8]) throws(CheckpointError) {
    try bytes.withUnsafeBufferPointer { (bytes) throws(CheckpointError) in try write(UnsafeRawBufferPointer(bytes)) }
  }

  /// Brings the bytes to the disk and closes the file; `publish` gives it its name.
  ///
  /// - Parameter synced: false for a file that a crash of the system may tear, because its readers can tell.
  package func seal(synced: Bool = true) throws(CheckpointError) {
    guard descriptor >= 0 else { return }
    isSynced = synced
    guard !synced || fsync(descriptor) == 0 else { throw .system(file: partial, call: "fsync", code: errno) }
    let closed = close(descriptor)
    descriptor = -1
    guard closed == 0 else { throw .system(file: partial, call: "close", code: errno) }
  }

  /// Renames the sealed file to `path`, replacing a file of that name, and syncs the folder if the file was synced.
  package func publish() throws(CheckpointError) {
    precondition(descriptor < 0, "publish before seal")
    guard rename(partial, path) == 0 else { throw .system(file: path, call: "rename", code: errno) }
    published = true
    guard isSynced else { return }
    let folder = open(Paths.folder(of: path), O_RDONLY | O_CLOEXEC)
    guard folder >= 0 else { return }
    // Some file systems cannot sync a folder; the rename has happened all the same.
    fsync(folder)
    close(folder)
  }
}
