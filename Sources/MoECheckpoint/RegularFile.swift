// An open regular file: its size and state, reading and writing at places.

package import MoETensors

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

/// A regular file, open for reading, closed with this object.
package final class RegularFile: Sendable {
  package let path: String
  package let byteCount: Int
  /// What the system told of the file when it was opened.
  let state: FileIdentity
  /// The same; nil when the last change was so shortly before that a later one could share its tick of the file system's clock.
  package let identity: FileIdentity?
  let descriptor: Int32

  /// Opens `path`.
  ///
  /// - Throws: `.system`, `.notRegularFile`, `.invalid` for a path with NUL.
  package init(path: String, isWritten: Bool = false) throws(CheckpointError) {
    guard !path.utf8.contains(0) else {
      throw .invalid(file: path, item: "path", offset: 0, expected: "a path without NUL", found: path)
    }
    // Without O_NONBLOCK the open of a FIFO would wait for a writer.
    let descriptor = open(path, (isWritten ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw .system(file: path, call: "open", code: errno) }
    do throws(CheckpointError) {
      var status = stat()
      guard fstat(descriptor, &status) == 0 else { throw .system(file: path, call: "fstat", code: errno) }
      guard status.st_mode & S_IFMT == S_IFREG else { throw .notRegularFile(file: path, found: Self.kind(status.st_mode & S_IFMT)) }
      guard let size = CheckedSize(status.st_size) else { throw .overflow(file: path, item: "file", offset: 0) }
      byteCount = size.value
      state = FileIdentity(status)
    } catch {
      close(descriptor)
      throw error
    }
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    identity = state.changed < nanoseconds(now) - 2_000_000_000 ? state : nil
    self.path = path
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Fills `memory` with the bytes from `offset` on.
  ///
  /// - Throws: `.system`, `.truncated` when the file ends before.
  package func read(into memory: UnsafeMutableRawBufferPointer, at offset: Int) throws(CheckpointError) {
    var done = 0
    while done < memory.count {
      let target = UnsafeMutableRawBufferPointer(rebasing: memory[done...])
      // One call reads at most 2 GiB on Linux and refuses more on Darwin.
      let count = pread(descriptor, target.baseAddress, min(target.count, 1 << 30), off_t(offset + done))
      if count < 0 {
        if errno == EINTR { continue }
        throw .system(file: path, call: "pread", code: errno)
      }
      guard count > 0 else {
        throw .truncated(file: path, item: "file", offset: offset + done, expected: UInt64(target.count), found: 0)
      }
      done += count
    }
  }

  /// Writes `bytes` at `offset`.
  ///
  /// - Throws: `.system`.
  package func write(_ bytes: [UInt8], at offset: Int) throws(CheckpointError) {
    guard pwrite(descriptor, bytes, bytes.count, off_t(offset)) == bytes.count else { throw .system(file: path, call: "pwrite", code: errno) }
  }

  /// True when both are the same file, whatever its name.
  package func isSame(as other: RegularFile) -> Bool { state.device == other.state.device && state.inode == other.state.inode }

  private static func kind(_ mode: mode_t) -> String {
    switch mode {
    case S_IFDIR: "directory"
    case S_IFIFO: "FIFO"
    case S_IFCHR: "character device"
    case S_IFBLK: "block device"
    case S_IFSOCK: "socket"
    default: "special file"
    }
  }
}

extension RegularFile: FileReading {
  package func fill(_ memory: UnsafeMutableRawBufferPointer, at offset: Int) throws(ShapeError) {
    do { try read(into: memory, at: offset) } catch { throw ShapeError(tensor: "weights in \(path)", reason: "\(error)") }
  }
}

extension FileIdentity {
  /// The file that `path` leads to now; nil when there is none.
  init?(path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    self.init(status)
  }

  fileprivate init(_ status: stat) {
    #if canImport(Darwin)
      let (modified, changed) = (status.st_mtimespec, status.st_ctimespec)
    #else
      let (modified, changed) = (status.st_mtim, status.st_ctim)
    #endif
    self.init(
      device: UInt64(truncatingIfNeeded: status.st_dev), inode: UInt64(status.st_ino), bytes: Int64(status.st_size),
      modified: nanoseconds(modified), changed: nanoseconds(changed))
  }
}

private func nanoseconds(_ time: timespec) -> Int64 { Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec) }
