// `kernbench load`: how long a layer of a checkpoint takes to load, and how much memory.

import ArgumentParser
import MoE

struct Load: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Loads one layer of a checkpoint and tells the time, the rate and the peak of memory.")

  @Argument(help: "A GGUF file, a safetensors file, or a folder.") var path: String
  @Option(parsing: .unconditional, help: "Layer of the checkpoint; its first MoE layer by default.") var index: Int?
  @Option(parsing: .unconditional, help: "Worker threads; all that the machine allows by default.") var threads: Int?
  @Option(help: "How weights lie in memory: rows, panels or auto.") var layout = LayoutChoice.auto
  @Option(help: "Kernels of this instruction set instead of the best.") var isa: String?
  @OptionGroup var cache: PackedCacheChoice
  @Option(parsing: .unconditional, help: "Exit code 1 when the peak of memory is more than this many times the weights.") var maxPeak: Double?

  func run() throws {
    if let maxPeak, !(maxPeak > 0) { throw Failure("--max-peak \(maxPeak): expected a positive number") }
    let machine = try Run.machine(threads: threads, isa: isa), packedCache = try cache.cache
    let before = PeakMemory.bytes, clock = ContinuousClock(), start = clock.now
    let model = try MoEModel(Checkpoint(path: path))
    guard let first = model.blocks.first else { throw Failure("\(path): no MoE layer") }
    let block = try index.map(model.block(layer:)) ?? first
    let opened = clock.now
    let layer = try Interrupts.held { try MoELayer(model, block: block, on: machine, layout: layout.layout, packedCache: packedCache) }
    let loaded = clock.now, peak = PeakMemory.bytes
    let resident = layer.weights.residentBytes, seconds = (loaded - opened) / .seconds(1)
    print("layer \(block.layer): \(binary(resident)) in \(layer.weights.experts.experts[0].up.layout.rawValue)")
    print("opened in \(fixed((opened - start) / .seconds(1) * 1e3, 1)) ms, loaded in \(fixed(seconds * 1e3, 1)) ms")
    for line in layer.packedCache?.lines ?? [] { print(line) }
    let read = try ReadBandwidth.figure(machine.pool, Peaks.cpus(machine)).value
    let rate = Double(layer.movedBytes) / seconds / 1e9
    print("\(binary(layer.movedBytes)) \(layer.movement), \(fixed(rate, 1)) GB/s, \(fixed(100 * rate / read, 0))% of \(fixed(read, 1)) GB/s of reading")
    guard let before, let peak else { return print("peak of memory: not told by this system") }
    let ratio = Double(peak) / Double(max(1, resident))
    print("peak of memory \(binary(peak)), \(binary(before)) of it before loading: \(fixed(ratio, 3)) x the weights")
    if let maxPeak, ratio > maxPeak { throw Failure("the peak of memory is \(fixed(ratio, 3)) x the weights, more than \(maxPeak)") }
  }
}

extension MoELayer {
  private var isPacked: Bool { weights.experts.experts[0].up.layout == .panels && packedCache?.source != .read }

  /// Bytes that making the layer moves: published ones are read and panels written, a file of panels is read.
  fileprivate var movedBytes: Int { (isPacked ? 2 : packedCache == nil ? 0 : 1) * weights.residentBytes }
  fileprivate var movement: String { isPacked ? "read and written" : "read" }
}

/// The most memory that the process has had at once, pages of mapped files counted.
enum PeakMemory {
  /// `VmHWM` of /proc/self/status; nil elsewhere.
  static var bytes: Int? {
    let line = systemText("/proc/self/status")?.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
  }
}
