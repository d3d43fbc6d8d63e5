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
  private var published = false
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

  deinit {
    if descriptor >= 0 { close(descriptor) }
    if !published { unlink(partial) }
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
  package func seal() throws(CheckpointError) {
    guard descriptor >= 0 else { return }
    guard fsync(descriptor) == 0 else { throw .system(file: partial, call: "fsync", code: errno) }
    let closed = close(descriptor)
    descriptor = -1
    guard closed == 0 else { throw .system(file: partial, call: "close", code: errno) }
  }

  /// Renames the sealed file to `path`, replacing a file of that name, and syncs the folder.
  package func publish() throws(CheckpointError) {
    precondition(descriptor < 0, "publish before seal")
    guard rename(partial, path) == 0 else { throw .system(file: path, call: "rename", code: errno) }
    published = true
    let folder = open(Paths.folder(of: path), O_RDONLY | O_CLOEXEC)
    guard folder >= 0 else { return }
    // Some file systems cannot sync a folder; the rename has happened all the same.
    fsync(folder)
    close(folder)
  }
}
