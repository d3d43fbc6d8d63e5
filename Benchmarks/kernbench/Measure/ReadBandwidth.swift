// Bytes that all threads together read from memory, in rounds short enough to fall between what other programs do.

import Foundation
import MoE
import Synchronization

enum ReadBandwidth {
  /// GB/s over 2 GiB in 4 KiB pages, or a quarter of the available memory: the median of the rounds within a tenth of the fastest ones.
  ///
  /// A round is a slice of the memory that comes again only after all others, so that caches hold none of it.
  static func figure(_ pool: WorkerPool, _ cpus: [Int]) throws -> Peaks.Figure {
    let memory = try ReadMemory(pool, sliceBytes: max(64 << 20, cpus.count * 32 << 20))
    var rates: [Double] = [], near: [Double] = []
    for _ in 0..<3 {
      memory.restart()
      rates += CommonRounds.seconds(7 * memory.slices, cpus: cpus) { memory.readSlice(round: $0) }.map { Double(memory.sliceBytes) / $0 / 1e9 }
      try memory.check()
      let fastest = rates.quantile(0.95)
      near = rates.filter { $0 >= 0.9 * fastest }
      if near.count >= max(5, rates.count / 8) { return Peaks.Figure(value: near.median, isSteady: true) }
    }
    return Peaks.Figure(value: near.median, isSteady: false)
  }
}

/// Memory of 1 MiB pieces, read slice after slice by whatever threads come.
private final class ReadMemory: Sendable {
  let slices: Int
  let sliceBytes: Int
  nonisolated(unsafe) private let words: UnsafeMutablePointer<UInt64>
  /// What every piece's words add up to, as last read.
  nonisolated(unsafe) private let sums: UnsafeMutablePointer<UInt64>
  private let pieces: Int
  /// Pieces taken since `restart`.
  private let taken = Atomic<Int>(0)
  private static let pieceBytes = 1 << 20
  private static let pieceWords = pieceBytes / 8

  init(_ pool: WorkerPool, sliceBytes wanted: Int) throws {
    let most = min(2 << 30, AvailableMemory.bytes / 4)
    guard most >= 64 << 20 else { throw Failure("\(binary(AvailableMemory.bytes)) of memory are too few to measure its bandwidth") }
    sliceBytes = min(wanted, most) / Self.pieceBytes * Self.pieceBytes
    slices = most / sliceBytes
    pieces = slices * sliceBytes / Self.pieceBytes
    let size = pieces * Self.pieceBytes
    guard let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0), memory != MAP_FAILED else {
      throw Failure("\(binary(size)) of memory cannot be had")
    }
    #if os(Linux)
      madvise(memory, size, MADV_NOHUGEPAGE)
    #endif
    words = memory.bindMemory(to: UInt64.self, capacity: size / 8)
    sums = .allocate(capacity: pieces)
    let words = words, each = Self.pieceWords
    pool.run(tasks: pieces) { task, _ in for index in task * each..<(task + 1) * each { words[index] = UInt64(index) } }
  }

  deinit {
    munmap(words, pieces * Self.pieceBytes)
    sums.deallocate()
  }

  /// Takes part in reading slice `round`, counted since `restart`; no thread begins the next one before all have left this one.
  func readSlice(round: Int) {
    let end = (round + 1) * (sliceBytes / Self.pieceBytes)
    var next = taken.load(ordering: .relaxed)
    while next < end {
      let (isTaken, seen) = taken.compareExchange(expected: next, desired: next + 1, ordering: .relaxed)
      guard isTaken else {
        next = seen
        continue
      }
      let piece = next % pieces
      sums[piece] = Self.sum(UnsafeRawPointer(words + piece * Self.pieceWords), bytes: Self.pieceBytes)
      next = taken.load(ordering: .relaxed)
    }
  }

  func restart() { taken.store(0, ordering: .relaxed) }

  /// - Throws: `Failure` when the words read are not those written.
  func check() throws {
    let count = UInt64(pieces * Self.pieceWords), expected = count.multipliedReportingOverflow(by: count - 1).partialValue / 2
    guard (0..<pieces).reduce(0, { $0 &+ sums[$1] }) == expected else { throw Failure("the memory test read back other numbers than it wrote") }
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
