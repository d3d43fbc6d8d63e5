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
  /// the caller's last. On several nodes these take turns, by their numbers of CPUs.
  ///
  /// - Parameters:
  ///   - nodes: the CPUs of each node; none for one node.
  ///   - bound: how many threads of the process are bound to a CPU.
  ///   - caller: the CPU that the caller runs on.
  ///   - siblings: for a CPU the hardware threads of its core.
  package static func cpus(
    for workers: Int, of usable: [Int], on nodes: [[Int]] = [], bound: [Int: Int], caller: Int?, siblings: (Int) -> [Int]
  ) -> [Int] {
    guard workers < usable.count else { return [] }
    let keys = usable.map { cpu in
      let rank = siblings(cpu).filter(usable.contains).firstIndex(of: cpu) ?? 0
      return [bound[cpu] ?? 0, rank, cpu == caller ? 1 : 0, cpu]
    }
    let ranked = keys.sorted { $0.lexicographicallyPrecedes($1) }.map { $0[3] }
    return inTurn(ranked, nodes).prefix(workers).map { $0 }
  }

  /// The CPUs so that any number of first ones is spread over the nodes as all are; the order within a node stays.
  private static func inTurn(_ ranked: [Int], _ nodes: [[Int]]) -> [Int] {
    guard nodes.count > 1 else { return ranked }
    var turns: [(turn: Double, rank: Int)] = []
    for node in nodes {
      let ranks = ranked.indices.filter { node.contains(ranked[$0]) }
      turns += ranks.enumerated().map { (Double($0.offset + 1) / Double(ranks.count), $0.element) }
    }
    return turns.sorted { $0 < $1 }.map { ranked[$0.rank] }
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

  private typealias CurrentCPU = @convention(c) () -> Int32
  private typealias SetAffinity = @convention(c) (_ thread: pthread_t, _ bytes: Int, _ mask: UnsafeRawPointer) -> Int32
  // The calls of glibc and musl that are not in Swift's modules; nil on other systems.
  private static let currentCPU = dlsym(nil, "sched_getcpu").map { unsafeBitCast($0, to: CurrentCPU.self) }
  private static let setAffinity = dlsym(nil, "pthread_setaffinity_np").map { unsafeBitCast($0, to: SetAffinity.self) }

  /// The CPU that the calling thread runs on; nil where the system does not tell.
  package static func current() -> Int? {
    guard let cpu = currentCPU?(), cpu >= 0 else { return nil }
    return Int(cpu)
  }

  /// Keeps the calling thread on these CPUs: see `bind(_:to:)`.
  package static func bind(to cpus: [Int]) -> Int32 { bind(pthread_self(), to: cpus) }

  /// Keeps a thread on these CPUs, without an allocation.
  ///
  /// - Returns: 0, or the error of the call: `ENOSYS` where there is none.
  static func bind(_ thread: pthread_t, to cpus: some Collection<Int>) -> Int32 {
    guard let most = cpus.max(), let setAffinity else { return ENOSYS }
    return withUnsafeTemporaryAllocation(of: UInt.self, capacity: most / UInt.bitWidth + 1) { mask in
      mask.initialize(repeating: 0)
      for cpu in cpus { mask[cpu / UInt.bitWidth] |= 1 << UInt(cpu % UInt.bitWidth) }
      return setAffinity(thread, mask.count * MemoryLayout<UInt>.size, mask.baseAddress!)
    }
  }
}
