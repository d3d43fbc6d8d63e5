// Short rounds of work that several threads begin together, each thread on a CPU of its own.

import Foundation
import Synchronization

enum CommonRounds {
  /// Seconds of every round, from the first thread's start to the last one's end.
  ///
  /// The threads are not those of a pool: a pool may give two tasks to one worker, and the system two workers to one CPU.
  static func seconds(_ rounds: Int, cpus: [Int], _ work: @escaping @Sendable (_ round: Int) -> Void) -> [Double] {
    let line = StartingLine(threads: cpus.count), clock = ContinuousClock(), origin = clock.now
    let record = Record()
    let done = DispatchSemaphore(value: 0)
    for cpu in cpus {
      Thread.detachNewThread {
        bind(to: cpu)
        var own: [ClosedRange<Duration>] = []
        own.reserveCapacity(rounds)
        for round in 0..<rounds {
          line.wait(round: round)
          let start = clock.now
          work(round)
          own.append(start - origin...clock.now - origin)
        }
        record.times.withLock { $0.append(own) }
        done.signal()
      }
    }
    for _ in cpus { done.wait() }
    return record.times.withLock { times in
      (0..<rounds).map { round in
        let start = times.map { $0[round].lowerBound }.min()!, end = times.map { $0[round].upperBound }.max()!
        return (end - start) / .seconds(1)
      }
    }
  }

  /// Keeps the calling thread on one CPU, where the system has a call for that; glibc's is not in Swift's module.
  private static func bind(to cpu: Int) {
    typealias Call = @convention(c) (_ thread: Int32, _ bytes: Int, _ mask: UnsafeRawPointer) -> Int32
    guard let symbol = dlsym(nil, "sched_setaffinity") else { return }
    var mask = [UInt](repeating: 0, count: cpu / UInt.bitWidth + 1)
    mask[cpu / UInt.bitWidth] = 1 << UInt(cpu % UInt.bitWidth)
    _ = unsafeBitCast(symbol, to: Call.self)(0, mask.count * MemoryLayout<UInt>.size, mask)
  }
}

/// Where threads wait for one another; by spinning, so that all leave at once.
private final class StartingLine: Sendable {
  private let threads: Int
  private let arrived = Atomic<Int>(0)

  init(threads: Int) { self.threads = threads }

  func wait(round: Int) {
    arrived.add(1, ordering: .acquiringAndReleasing)
    while arrived.load(ordering: .acquiring) < threads * (round + 1) {}
  }
}

/// When every thread began and ended its rounds.
private final class Record: Sendable {
  let times = Mutex<[[ClosedRange<Duration>]]>([])
}
