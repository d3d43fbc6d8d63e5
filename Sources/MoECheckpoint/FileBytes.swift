// The bytes of one regular file, mapped or copied, alive as long as the object.

package import MoETensors

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
  package let identity: FileIdentity?
  package let isMapped: Bool
  private let opened: FileIdentity

  /// Opens and maps or reads `path`.
  ///
  /// - Throws: `.system`, `.notRegularFile`, `.truncated` for an empty file or one that shrinks while read, `.limit` beyond `limit` bytes.
  package convenience init(path: String, mode: LoadMode, limit: Int = .max) throws(CheckpointError) {
    try self.init(RegularFile(path: path), mode: mode, limit: limit)
  }

  /// Maps or reads an open file.
  ///
  /// - Throws: as above.
  package init(_ file: RegularFile, mode: LoadMode, limit: Int = .max) throws(CheckpointError) {
    let path = file.path, size = file.byteCount
    guard size > 0 else { throw .truncated(file: path, item: "file", offset: 0, expected: 1, found: 0) }
    guard size <= limit else { throw .limit(file: path, item: "file", offset: 0, limit: limit, found: UInt64(size)) }
    // Owned memory is an anonymous mapping: an absurd size is an error here, not the end of the process.
    let source = mode == .mapped ? file.descriptor : -1
    let flags = mode == .mapped ? MAP_PRIVATE : MAP_PRIVATE | MAP_ANON
    let access = mode == .mapped ? PROT_READ : PROT_READ | PROT_WRITE
    guard let address = mmap(nil, size, access, flags, source, 0), Int(bitPattern: address) != -1 else {
      throw .system(file: path, call: "mmap", code: errno)
    }
    if mode == .copied {
      do throws(CheckpointError) {
        try file.read(into: UnsafeMutableRawBufferPointer(start: address, count: size), at: 0)
      } catch {
        munmap(address, size)
        throw error
      }
    }
    self.path = path
    isMapped = mode == .mapped
    opened = file.state
    identity = file.identity
    bytes = UnsafeRawBufferPointer(start: address, count: size)
  }

  deinit {
    if let address = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: address), bytes.count) }
  }

  /// Asks for large pages, which some file systems have for mapped files.
  package func preferLargePages() {
    #if os(Linux)
      if isMapped { madvise(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count, Int32(MADV_HUGEPAGE)) }
    #endif
  }
}

extension FileBytes: FilePages {
  package var isUnchanged: Bool {
    FileIdentity(path: path) == opened
  }

  package func offset(of address: UnsafeRawPointer) -> Int { address - bytes.baseAddress! }

  package func reader() -> (any FileReading)? {
    guard isMapped, let file = try? RegularFile(path: path), file.state.device == opened.device, file.state.inode == opened.inode else { return nil }
    return file
  }

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
