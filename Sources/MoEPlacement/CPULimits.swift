// How many CPUs this process may use: scheduler affinity and cgroup quota, not the machine's count.

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What the operating system lets this process use of the machine's CPUs.
public struct CPULimits: Sendable, Hashable {
  /// OS indices of the CPUs the process may be scheduled on, ascending.
  public let cpus: [Int]
  /// CPUs' worth of time a cgroup grants (1.5 is one and a half), nil without a quota.
  public let quota: Double?

  /// Threads that can run at once: the allowed CPUs, at most the quota rounded up; 1 or more.
  public var threads: Int {
    let allowed = max(1, cpus.count)
    guard let quota, quota < Double(allowed) else { return allowed }
    return max(1, Int(quota.rounded(.up)))
  }

  /// The limits of the calling thread and its cgroup, read now.
  public static func current() -> CPULimits {
    CPULimits(cpus: allowedCPUs(), quota: cgroupQuota(read: systemText))
  }

  package init(cpus: [Int], quota: Double?) {
    self.cpus = cpus
    self.quota = quota
  }

  /// The affinity mask of the calling thread as /proc tells it, less the CPUs that are offline; without /proc all CPUs online.
  package static func allowedCPUs(read: (String) -> String? = systemText) -> [Int] {
    guard let allowed = mask(ofThread: "/proc/thread-self", read: read) else {
      return Array(0..<max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    }
    // The mask may name CPUs that could be plugged in but are not there.
    guard let online = read("/sys/devices/system/cpu/online").flatMap(numbers(inList:)).map(Set.init) else { return allowed }
    let usable = allowed.filter(online.contains)
    return usable.isEmpty ? allowed : usable
  }

  /// The affinity mask of the thread that a folder of /proc is about; nil when it does not tell.
  static func mask(ofThread folder: String, read: (String) -> String?) -> [Int]? {
    let line = read(folder + "/status")?.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
    guard let line, let cpus = fields(line, separator: ":").last.flatMap(numbers(inList:)), !cpus.isEmpty else { return nil }
    return cpus
  }

  /// The numbers of a kernel list ("0-3,8"), or nil when it is none.
  static func numbers(inList text: String) -> [Int]? {
    var numbers: [Int] = []
    for range in fields(text, separator: ",") where !range.isEmpty {
      let ends = range.split(separator: "-").map { Int($0) }
      guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, 0 <= first, first <= last, last < 1 << 20 else {
        return nil
      }
      numbers += first...last
    }
    return numbers
  }

  /// The tightest quota from the process's cgroup up to the root: `cpu.max` (v2), `cpu.cfs_quota_us` (v1).
  package static func cgroupQuota(read: (String) -> String?) -> Double? {
    guard let groups = read("/proc/self/cgroup") else { return nil }
    var tightest: Double?
    for line in groups.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      let controllers = parts[1].split(separator: ",")
      let unified = parts[0] == "0" && parts[1].isEmpty
      guard unified || controllers.contains("cpu") else { continue }
      let mounts = unified ? ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] : ["/sys/fs/cgroup/\(parts[1])", "/sys/fs/cgroup/cpu"]
      for group in ancestors(of: parts[2]) {
        for mount in mounts {
          let quota = unified ? unifiedQuota(mount + group, read) : legacyQuota(mount + group, read)
          if let quota { tightest = min(tightest ?? quota, quota) }
        }
      }
    }
    return tightest
  }

  private static func ancestors(of path: Substring) -> [String] {
    let names = path.split(separator: "/")
    return (0...names.count).reversed().map { names.prefix($0).map { "/" + $0 }.joined() }
  }

  private static func unifiedQuota(_ folder: String, _ read: (String) -> String?) -> Double? {
    guard let text = read(folder + "/cpu.max") else { return nil }
    let numbers = text.split(whereSeparator: \.isWhitespace).map { Double($0) }
    guard numbers.count == 2, let time = numbers[0], let period = numbers[1], time > 0, period > 0 else { return nil }
    return time / period
  }

  private static func legacyQuota(_ folder: String, _ read: (String) -> String?) -> Double? {
    func number(_ name: String) -> Double? {
      read(folder + "/" + name).flatMap { $0.split(whereSeparator: \.isWhitespace).first }.flatMap { Double($0) }
    }
    guard let time = number("cpu.cfs_quota_us"), let period = number("cpu.cfs_period_us"), time > 0, period > 0 else { return nil }
    return time / period
  }
}
