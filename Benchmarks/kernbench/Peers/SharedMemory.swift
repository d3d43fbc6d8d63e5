// Memory that a child process maps too.

import Foundation

/// A file without a name, mapped: gone when no process holds it any more, however they end.
final class SharedMemory {
  let descriptor: Int32
  let base: UnsafeMutableRawPointer
  private let byteCount: Int

  /// - Throws: `Failure` when there is no room for so many bytes.
  init(byteCount: Int) throws {
    self.byteCount = max(byteCount, 1)
    let opened = Self.file()
    guard opened >= 0 else { throw Failure("no file for \(binary(byteCount)): \(String(cString: strerror(errno)))") }
    // Above the numbers that a child gets its files under.
    descriptor = fcntl(opened, F_DUPFD_CLOEXEC, 64)
    close(opened)
    let isLarge = descriptor >= 0 && ftruncate(descriptor, off_t(self.byteCount)) == 0
    let mapped = isLarge ? mmap(nil, self.byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0) : MAP_FAILED
    guard let mapped, mapped != MAP_FAILED else {
      let reason = String(cString: strerror(errno))
      if descriptor >= 0 { close(descriptor) }
      throw Failure("no memory for \(binary(byteCount)): \(reason)")
    }
    base = mapped
  }

  deinit {
    munmap(base, byteCount)
    close(descriptor)
  }

  func floats(at offset: Int) -> UnsafeMutablePointer<Float> { (base + offset).assumingMemoryBound(to: Float.self) }
  func ids(at offset: Int) -> UnsafeMutablePointer<Int32> { (base + offset).assumingMemoryBound(to: Int32.self) }

  /// In memory where the system has a call for that, whose declaration Swift's module lacks; otherwise in the temporary folder, its name removed.
  private static func file() -> Int32 {
    typealias Call = @convention(c) (_ name: UnsafePointer<CChar>, _ flags: UInt32) -> Int32
    if let symbol = dlsym(nil, "memfd_create") {
      let descriptor = unsafeBitCast(symbol, to: Call.self)("kernbench", 1)
      if descriptor >= 0 { return descriptor }
    }
    return nameless()
  }

  /// A file in the temporary folder that has no name any more.
  static func nameless() -> Int32 {
    var template = Array((NSTemporaryDirectory() + "/kernbench.XXXXXX").utf8CString)
    let descriptor = mkstemp(&template)
    if descriptor >= 0 {
      _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
      unlink(template)
    }
    return descriptor
  }
}
