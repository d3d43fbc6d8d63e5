// What this machine can do at most: bytes read from memory and operations in registers, on all threads at once.

import Foundation
import MoE

/// Measured limits that a row's roofline is made of.
///
/// Taken on as many threads as the machine's pool has, but never on more than can run at once.
struct Peaks {
  /// Bytes read a nanosecond from memory in 4 KiB pages: the median of the rounds near the fastest.
  let readGBps: Double
  /// Of f32 multiply-adds, 2 operations each: the best of many short rounds.
  let fmaGflops: Double
  /// Of int8 products summed in 16 bits, and in 32 bits; nil when not asked for, or refused.
  let int8Gops: Double?
  let int8WideGops: Double?
  /// Of bf16 products; nil when not asked for, or where the kernels have none.
  let bf16Gflops: Double?
  /// False when hardly any rounds came near the fastest.
  let isSteady: Bool

  /// - Parameter precisions: of the activations whose products are to be measured beside f32.
  /// - Throws: `Failure` when memory cannot be had.
  init(_ machine: Machine, _ precisions: [ActivationPrecision]) throws {
    Progress.show("measuring memory bandwidth")
    let cpus = Self.cpus(machine), read = try ReadBandwidth.figure(machine.pool, cpus)
    Progress.show("measuring arithmetic peaks")
    let fma = Self.operations(.float, machine, cpus)
    let int8 = precisions.contains(.int8), bf16 = precisions.contains(.bfloat16) && machine.kernels.gemmName(.bf16, on: .bfloat16) != nil
    let narrow = int8 ? Self.int8(.int8, machine, cpus, least: 3 * fma.value) : nil
    let wide = int8 ? Self.int8(.int8Wide, machine, cpus, least: 1.7 * fma.value) : nil
    let pairs = bf16 ? Self.operations(.bf16, machine, cpus) : nil
    (readGBps, fmaGflops, int8Gops, int8WideGops, bf16Gflops) = (read.value, fma.value, narrow?.value, wide?.value, pairs?.value)
    isSteady = [read, fma, narrow, wide, pairs].allSatisfy { $0?.isSteady ?? true }
    Progress.clear()
  }

  /// 1e9 operations a second of this arithmetic; nil where the figure was refused.
  func operations(_ arithmetic: GEMMArithmetic) -> Double? {
    switch arithmetic {
    case .float: fmaGflops
    case .int8: int8Gops
    case .int8Wide: int8WideGops
    case .bf16: bf16Gflops
    }
  }

  /// A figure, and whether its repetitions agree.
  struct Figure {
    let value: Double
    let isSteady: Bool
  }

  /// A CPU for every thread, a core's second hardware thread only after every core's first.
  static func cpus(_ machine: Machine) -> [Int] {
    let allowed = Set(machine.topology.limits.cpus), cores = machine.topology.cores.map { $0.processingUnits.filter(allowed.contains) }
    let most = cores.map(\.count).max() ?? 0
    let ordered = (0..<most).flatMap { turn in cores.compactMap { $0.count > turn ? $0[turn] : nil } }
    let others = machine.topology.limits.cpus.filter { !ordered.contains($0) }
    return Array((ordered + others + [0]).prefix(max(1, min(machine.pool.threads, machine.topology.usableThreads))))
  }

  /// Nil for a figure below what AVX2 can do beside its multiply-adds: taken on a busy machine, it would make rows look better than they are.
  private static func int8(_ arithmetic: GEMMArithmetic, _ machine: Machine, _ cpus: [Int], least: Double) -> Figure? {
    for _ in 0..<3 {
      let figure = operations(arithmetic, machine, cpus)
      if figure.value >= least || machine.kernels.name != "avx2" { return figure }
    }
    return nil
  }

  /// The best of 128 rounds and more, until the third best is near it: what another program leaves of a CPU comes in pieces longer
  /// than a round.
  private static func operations(_ arithmetic: GEMMArithmetic, _ machine: Machine, _ cpus: [Int]) -> Figure {
    let kernels = machine.kernels, clock = ContinuousClock(), start = clock.now
    var steps = 1000
    while (0..<3).map({ _ in elapsed { _ = kernels.runPeak(arithmetic, steps: steps) } }).min()! < 0.0004 { steps *= 2 }
    let done = Double(kernels.runPeak(arithmetic, steps: steps).operations * cpus.count), round = steps
    var rates: [Double] = []
    while true {
      rates += CommonRounds.seconds(128, cpus: cpus) { _ in _ = kernels.runPeak(arithmetic, steps: round) }.map { done / $0 / 1e9 }
      rates.sort(by: >)
      let isSteady = rates[2] >= 0.98 * rates[0]
      if isSteady || clock.now - start > .seconds(1) { return Figure(value: rates[0], isSteady: isSteady) }
    }
  }
}

/// Memory that can be had without pushing anything out.
enum AvailableMemory {
  /// `MemAvailable` of /proc/meminfo; physical memory elsewhere.
  static var bytes: Int {
    let line = systemText("/proc/meminfo")?.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
    let kibibytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }
    return kibibytes.map { $0 * 1024 } ?? Int(ProcessInfo.processInfo.physicalMemory)
  }

  /// - Throws: `Failure` when `bytes` are more than half of what is there.
  static func demand(_ bytes: Int, for name: String) throws {
    let available = Self.bytes
    guard bytes <= available / 2 else {
      throw Failure("\(name): \(binary(bytes)) of weights are more than half of the \(binary(available)) available; --experts N takes fewer")
    }
  }
}

/// Seconds that `body` takes.
func elapsed(_ body: () throws -> Void) rethrows -> Double {
  let clock = ContinuousClock(), start = clock.now
  try body()
  let duration = (clock.now - start).components
  return Double(duration.seconds) + Double(duration.attoseconds) * 1e-18
}

extension [Double] {
  /// The middle of the sorted values; NaN of none.
  var median: Double { quantile(0.5) }

  /// The value below which this part of the values lies, interpolated.
  func quantile(_ part: Double) -> Double {
    guard !isEmpty else { return .nan }
    let ordered = sorted(), place = part * Double(count - 1), below = Int(place)
    return ordered[below] + (ordered[Swift.min(below + 1, count - 1)] - ordered[below]) * (place - Double(below))
  }

  /// These values, or `most` of them at even distances.
  func thinned(to most: Int) -> [Double] { count <= most ? self : (0..<most).map { self[$0 * count / most] } }
}
