// Binding threads to CPUs: which CPU a pool's worker gets, and the system's call.

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

package enum CPUBinding {
  /// A CPU for each of `workers`, of those that may be used; empty when that and the caller are more threads than CPUs.
  ///
  /// CPUs to which fewest threads of the process are bound come first, then those that are no second hardware thread of a core,
  /// the caller's last.
  ///
  /// - Parameters:
  ///   - bound: how many threads of the process are bound to a CPU.
  ///   - caller: the CPU that the caller runs on.
  ///   - siblings: for a CPU the hardware threads of its core.
  package static func cpus(for workers: Int, of usable: [Int], bound: [Int: Int], caller: Int?, siblings: (Int) -> [Int]) -> [Int] {
    guard workers < usable.count else { return [] }
    let keys = usable.map { cpu in
      let rank = siblings(cpu).filter(usable.contains).firstIndex(of: cpu) ?? 0
      return [bound[cpu] ?? 0, rank, cpu == caller ? 1 : 0, cpu]
    }
    return keys.sorted { $0.lexicographicallyPrecedes($1) }.prefix(workers).map { $0[3] }
  }

  /// How many threads of this process are bound to one CPU alone, by CPU; what the system tells stands for a list that pools would share.
  package static func boundThreads() -> [Int: Int] {
    var bound: [Int: Int] = [:]
    guard let tasks = opendir("/proc/self/task") else { return bound }
    defer { closedir(tasks) }
    while let entry = readdir(tasks) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: pointer.pointee)) { String(cString: $0) }
      }
      guard let cpus = CPULimits.mask(ofThread: "/proc/self/task/\(name)", read: systemText), cpus.count == 1 else { continue }
      bound[cpus[0], default: 0] += 1
    }
    return bound
  }

  /// The hardware threads of a CPU's core as /sys tells them; none elsewhere.
  package static func siblings(of cpu: Int) -> [Int] {
    systemText("/sys/devices/system/cpu/cpu\(cpu)/topology/thread_siblings_list").flatMap(CPULimits.numbers(inList:)) ?? []
  }

  /// The CPU that the calling thread runs on; nil where the system does not tell.
  package static func current() -> Int? {
    typealias Call = @convention(c) () -> Int32
    guard let symbol = dlsym(nil, "sched_getcpu") else { return nil }
    let cpu = unsafeBitCast(symbol, to: Call.self)()
    return cpu < 0 ? nil : Int(cpu)
  }

  /// Keeps the calling thread on these CPUs, without an allocation; glibc's call is not in Swift's module.
  ///
  /// - Returns: 0, or the errno of the call: `ENOSYS` where there is none.
  package static func bind(to cpus: [Int]) -> Int32 {
    typealias Call = @convention(c) (_ thread: Int32, _ bytes: Int, _ mask: UnsafeRawPointer) -> Int32
    guard let most = cpus.max(), let symbol = dlsym(nil, "sched_setaffinity") else { return ENOSYS }
    return withUnsafeTemporaryAllocation(of: UInt.self, capacity: most / UInt.bitWidth + 1) { mask in
      mask.initialize(repeating: 0)
      for cpu in cpus { mask[cpu / UInt.bitWidth] |= 1 << UInt(cpu % UInt.bitWidth) }
      return unsafeBitCast(symbol, to: Call.self)(0, mask.count * MemoryLayout<UInt>.size, mask.baseAddress!) == 0 ? 0 : errno
    }
  }
}
