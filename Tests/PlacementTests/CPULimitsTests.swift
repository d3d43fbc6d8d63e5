// Affinity masks and cgroup quotas, from invented system files.

import MoEPlacement
import Testing

@Suite struct CPULimitsTests {
  @Test func threads() {
    #expect(CPULimits(cpus: [0, 1, 2, 3], quota: nil).threads == 4)
    #expect(CPULimits(cpus: [0, 1, 2, 3], quota: 1.5).threads == 2)
    #expect(CPULimits(cpus: [0, 1], quota: 64).threads == 2)
    #expect(CPULimits(cpus: [5], quota: 0.1).threads == 1)
    #expect(CPULimits(cpus: [], quota: nil).threads == 1)
  }

  @Test func affinity() {
    let files = ["/proc/thread-self/status": "Name:\tx\nCpus_allowed_list:\t0-3,8-127\n", "/sys/devices/system/cpu/online": "0-1,8\n"]
    #expect(CPULimits.allowedCPUs { files[$0] } == [0, 1, 8])
    #expect(!CPULimits.allowedCPUs { _ in nil }.isEmpty)
    #expect(!CPULimits.allowedCPUs { _ in "Cpus_allowed_list:\t3-\u{0}" }.isEmpty)
  }

  @Test func unifiedQuota() {
    let files = [
      "/proc/self/cgroup": "0::/user/job\n", "/sys/fs/cgroup/user/job/cpu.max": "max 100000\n",
      "/sys/fs/cgroup/user/cpu.max": "250000 100000\n",
    ]
    #expect(CPULimits.cgroupQuota { files[$0] } == 2.5)
  }

  @Test func legacyQuota() {
    let files = [
      "/proc/self/cgroup": "4:memory:/a\n3:cpu,cpuacct:/a\n", "/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "50000\n",
      "/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "100000\n", "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
      "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    ]
    #expect(CPULimits.cgroupQuota { files[$0] } == 0.5)
  }

  @Test func noQuota() {
    #expect(CPULimits.cgroupQuota { _ in nil } == nil)
    #expect(CPULimits.cgroupQuota { $0 == "/proc/self/cgroup" ? "broken\n0::/\n" : "garbage" } == nil)
  }
}
