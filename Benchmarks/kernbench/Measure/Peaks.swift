// What this machine can do at most: bytes read from memory and operations in registers, on all threads at once.

import Foundation
import MoE

/// Measured limits that a row's roofline is made of.
struct Peaks {
  /// Bytes read a nanosecond from memory in 4 KiB pages: the median of several passes.
  let readGBps: Double
  /// Of f32 multiply-adds, 2 operations each: the best of several passes.
  let fmaGflops: Double
  /// Of int8 products summed in 16 bits, and in 32 bits; nil when not asked for, or refused.
  let int8Gops: Double?
  let int8WideGops: Double?

  /// - Throws: `Failure` when memory cannot be had.
  init(_ machine: Machine, int8: Bool) throws {
    Progress.show("measuring memory bandwidth")
    readGBps = try Self.readBandwidth(machine.pool)
    Progress.show("measuring arithmetic peaks")
    fmaGflops = Self.operations(.float, machine)
    int8Gops = int8 ? Self.int8(.int8, machine, least: 3 * fmaGflops) : nil
    int8WideGops = int8 ? Self.int8(.int8Wide, machine, least: 1.7 * fmaGflops) : nil
    Progress.clear()
  }

  /// 1e9 operations a second of this arithmetic; nil where the figure was refused.
  func operations(_ arithmetic: GEMMArithmetic) -> Double? {
    switch arithmetic {
    case .float: fmaGflops
    case .int8: int8Gops
    case .int8Wide: int8WideGops
    }
  }

  /// Nil for a figure below what AVX2 can do beside its multiply-adds: taken on a busy machine, it would make rows look better than they are.
  private static func int8(_ arithmetic: GEMMArithmetic, _ machine: Machine, least: Double) -> Double? {
    var best = 0.0
    for _ in 0..<5 {
      best = max(best, operations(arithmetic, machine))
      if best >= least || machine.kernels.name != "avx2" { return best }
    }
    return nil
  }

  private static func operations(_ arithmetic: GEMMArithmetic, _ machine: Machine) -> Double {
    var steps = 1000, best = 0.0
    while true {
      let done = machine.kernels.runPeak(arithmetic, steps: steps).operations
      let seconds = elapsed { machine.pool.run(tasks: machine.pool.threads) { _, _ in _ = machine.kernels.runPeak(arithmetic, steps: steps) } }
      if seconds < 0.02 {
        steps *= 2
        continue
      }
      best = max(best, Double(done) * Double(machine.pool.threads) / seconds / 1e9)
      for _ in 0..<8 {
        let seconds = elapsed { machine.pool.run(tasks: machine.pool.threads) { _, _ in _ = machine.kernels.runPeak(arithmetic, steps: steps) } }
        best = max(best, Double(done) * Double(machine.pool.threads) / seconds / 1e9)
      }
      return best
    }
  }

  private static func readBandwidth(_ pool: WorkerPool) throws -> Double {
    let wanted = min(2 << 30, AvailableMemory.bytes / 4), piece = 1 << 20
    let size = wanted / piece * piece
    guard size >= 64 << 20 else { throw Failure("\(binary(AvailableMemory.bytes)) of memory are too few to measure its bandwidth") }
    guard let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0), memory != MAP_FAILED else {
      throw Failure("\(binary(size)) of memory cannot be had")
    }
    defer { munmap(memory, size) }
    #if os(Linux)
      madvise(memory, size, MADV_NOHUGEPAGE)
    #endif
    let words = memory.bindMemory(to: UInt64.self, capacity: size / 8), each = piece / 8, pieces = size / piece
    pool.run(tasks: pieces) { task, _ in for index in task * each..<(task + 1) * each { words[index] = UInt64(index) } }
    var rates: [Double] = []
    var sums = [UInt64](repeating: 0, count: pieces)
    for _ in 0..<7 {
      let seconds = elapsed {
        sums.withUnsafeMutableBufferPointer { sums in
          pool.run(tasks: pieces) { [sums] task, _ in sums[task] = sum(UnsafeRawPointer(words + task * each), bytes: piece) }
        }
      }
      let expected = UInt64(size / 8).multipliedReportingOverflow(by: UInt64(size / 8 - 1)).partialValue / 2
      guard sums.reduce(0, &+) == expected else { throw Failure("the memory test read back other numbers than it wrote") }
      rates.append(Double(size) / seconds / 1e9)
    }
    return rates.median
  }

  private static func sum(_ bytes: UnsafeRawPointer, bytes count: Int) -> UInt64 {
    let vectors = bytes.assumingMemoryBound(to: SIMD8<UInt64>.self)
    var a = SIMD8<UInt64>.zero, b = a, c = a, d = a
    for index in stride(from: 0, to: count / 64, by: 4) {
      a &+= vectors[index]
      b &+= vectors[index + 1]
      c &+= vectors[index + 2]
      d &+= vectors[index + 3]
    }
    return ((a &+ b) &+ (c &+ d)).wrappedSum()
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
