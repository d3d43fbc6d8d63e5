// The bytes of one regular file, mapped or copied, alive as long as the object.

internal import MoETensors

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

/// The whole of a regular file in memory; the bytes are never written.
package final class FileBytes: @unchecked Sendable {
  package let path: String
  package let bytes: UnsafeRawBufferPointer
  private let isMapped: Bool

  /// Opens and maps or reads `path`.
  ///
  /// - Throws: `.system`, `.notRegularFile`, `.truncated` for an empty file or one that shrinks while read, `.limit` beyond `limit` bytes.
  package init(path: String, mode: LoadMode, limit: Int = .max) throws(CheckpointError) {
    guard !path.utf8.contains(0) else {
      throw .invalid(file: path, item: "path", offset: 0, expected: "a path without NUL", found: path)
    }
    // Without O_NONBLOCK the open of a FIFO would wait for a writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw .system(file: path, call: "open", code: errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system(file: path, call: "fstat", code: errno) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw .notRegularFile(file: path, found: Self.kind(status.st_mode & S_IFMT))
    }
    guard let size = CheckedSize(status.st_size) else { throw .overflow(file: path, item: "file", offset: 0) }
    guard size.value > 0 else { throw .truncated(file: path, item: "file", offset: 0, expected: 1, found: 0) }
    guard size.value <= limit else {
      throw .limit(file: path, item: "file", offset: 0, limit: limit, found: UInt64(size.value))
    }
    // Owned memory is an anonymous mapping: an absurd size is an error here, not the end of the process.
    let source = mode == .mapped ? descriptor : -1
    let flags = mode == .mapped ? MAP_PRIVATE : MAP_PRIVATE | MAP_ANON
    let access = mode == .mapped ? PROT_READ : PROT_READ | PROT_WRITE
    guard let address = mmap(nil, size.value, access, flags, source, 0), Int(bitPattern: address) != -1 else {
      throw .system(file: path, call: "mmap", code: errno)
    }
    if mode == .copied {
      do throws(CheckpointError) {
        try Self.fill(UnsafeMutableRawBufferPointer(start: address, count: size.value), from: descriptor, path: path)
      } catch {
        munmap(address, size.value)
        throw error
      }
    }
    self.path = path
    isMapped = mode == .mapped
    bytes = UnsafeRawBufferPointer(start: address, count: size.value)
  }

  deinit {
    if let address = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: address), bytes.count) }
  }

  private static func fill(_ memory: UnsafeMutableRawBufferPointer, from descriptor: Int32, path: String) throws(CheckpointError) {
    var done = 0
    while done < memory.count {
      let target = UnsafeMutableRawBufferPointer(rebasing: memory[done...])
      // One call reads at most 2 GiB on Linux and refuses more on Darwin.
      let count = pread(descriptor, target.baseAddress, min(target.count, 1 << 30), off_t(done))
      if count < 0 {
        if errno == EINTR { continue }
        throw .system(file: path, call: "pread", code: errno)
      }
      guard count > 0 else {
        throw .truncated(file: path, item: "file", offset: done, expected: UInt64(target.count), found: 0)
      }
      done += count
    }
  }

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

extension FileBytes: FilePages {
  package func giveBack(_ part: UnsafeRawBufferPointer) {
    guard isMapped, let start = part.baseAddress else { return }
    let page = Int(sysconf(Int32(_SC_PAGESIZE))), first = (Int(bitPattern: start) + page - 1) / page * page
    let count = (Int(bitPattern: start) + part.count) / page * page - first
    if count > 0 { madvise(UnsafeMutableRawPointer(bitPattern: first), count, MADV_DONTNEED) }
  }
}

/// The system's text for an `errno`.
func systemMessage(_ code: Int32) -> String {
  guard let text = strerror(code) else { return "error \(code)" }
  return "\(String(cString: text)) (\(code))"
}
