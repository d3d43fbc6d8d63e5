// The machine as reports describe it.

import MoE

/// The machine, its peaks, and the seed of the weights it computed on.
struct MachineReport {
  let machine: Machine
  let peaks: Peaks
  let seed: UInt64

  var line: String {
    var parts = [
      machine.topology.cpuModel, machine.kernels.name, "\(machine.pool.threads) thread\(machine.pool.threads == 1 ? "" : "s")",
      "read \(fixed(peaks.readGBps, 1)) GB/s", "fma \(fixed(peaks.fmaGflops, 1)) GFLOP/s",
    ]
    let int8 = [peaks.int8Gops, peaks.int8WideGops].map { $0.map { fixed($0, 0) } ?? "-" }
    if int8 != ["-", "-"] { parts.append("int8 \(int8[0]), \(int8[1]) Gop/s") }
    if let bf16 = peaks.bf16Gflops { parts.append("bf16 \(fixed(bf16, 0)) GFLOP/s") }
    return parts.joined(separator: ", ") + ", seed \(seed)"
  }

  var notes: [String] {
    var notes = machine.notes
    let limits = machine.topology.limits, units = machine.topology.processingUnits.count
    if limits.cpus.count < units { notes.append("the affinity mask allows \(limits.cpus.count) of \(units) CPUs") }
    if let quota = limits.quota, quota < Double(limits.cpus.count) { notes.append("a cgroup quota allows the time of \(fixed(quota, 2)) CPUs") }
    if machine.isOversubscribed {
      notes.append("\(machine.pool.threads) threads take turns on \(machine.topology.usableThreads) usable CPUs; peaks are those of the CPUs")
    }
    if !peaks.isSteady { notes.append("peaks differ from pass to pass: the machine is busy, times and rooflines are unsure") }
    return notes
  }

  var report: JSON {
    let devices = (try? OpenCL.devices()) ?? []
    return .object([
      "cpu": .string(machine.topology.cpuModel), "isa": .string(machine.kernels.name), "threads": .integer(machine.pool.threads),
      "usableThreads": .integer(machine.topology.usableThreads), "readGBps": .number(peaks.readGBps), "fmaGflops": .number(peaks.fmaGflops),
      "int8Gops": peaks.int8Gops.map(JSON.number) ?? .null, "int8WideGops": peaks.int8WideGops.map(JSON.number) ?? .null,
      "bf16Gflops": peaks.bf16Gflops.map(JSON.number) ?? .null,
      "steadyPeaks": .bool(peaks.isSteady), "seed": .integer(Int(truncatingIfNeeded: seed)),
      "openclDevices": .array(devices.map { .string("\($0)") }),
    ])
  }
}

extension Machine {
  /// True when the pool has more threads than can run at once.
  var isOversubscribed: Bool { pool.threads > topology.usableThreads }
}
