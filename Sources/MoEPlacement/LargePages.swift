// Whether the system gives memory in large pages when it is asked to.

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Transparent huge pages, which weights in panels ask for: a 2 MiB page where 512 small ones would take turns in the TLB.
package enum LargePages {
  /// Why weights lie in small pages; nil where nothing speaks against large ones, and on systems without such a choice.
  package static func obstacle(read: (String) -> String? = systemText, advise: () -> Int32 = adviceStatus) -> String? {
    #if os(Linux)
    let setting = "/sys/kernel/mm/transparent_hugepage/enabled"
    guard let modes = read(setting) else { return "this kernel has no large pages: weights lie in small ones" }
    if modes.contains("[never]") { return "large pages are off (\(setting): never): weights lie in small ones" }
    let isDisabled = read("/proc/self/status")?.split(separator: "\n").contains { fields($0, separator: ":") == ["THP_enabled", "0"] } == true
    if isDisabled { return "large pages are off for this process (THP_enabled: 0): weights lie in small ones" }
    let status = advise()
    return status == 0 ? nil : "madvise(MADV_HUGEPAGE) failed, errno \(status): weights lie in small pages"
    #else
    return nil
    #endif
  }

  /// The errno of asking for large pages, 0 when the system agrees.
  package static func adviceStatus() -> Int32 {
    #if os(Linux)
    let size = 2 << 20
    guard let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), memory != MAP_FAILED else { return errno }
    defer { munmap(memory, size) }
    return madvise(memory, size, Int32(MADV_HUGEPAGE)) == 0 ? 0 : errno
    #else
    return 0
    #endif
  }
}
