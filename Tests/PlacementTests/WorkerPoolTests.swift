// The worker pool: every task once, callers in turn, nested calls, floating-point environment, errors.

import MoEPlacement
import Synchronization
import Testing

@Suite struct WorkerPoolTests {
  /// How often each task ran, and whether every worker index was in range.
  final class Tally: ParallelWork, Sendable {
    private let runs: [Counter]
    private let strays = Counter()
    private let threads: Int

    init(tasks: Int, threads: Int) {
      runs = (0..<tasks).map { _ in Counter() }
      self.threads = threads
    }

    func perform(task: Int, worker: Int) {
      runs[task].increment()
      if !(0..<threads).contains(worker) { strays.increment() }
    }

    func eachRan(_ times: Int) -> Bool { strays.value == 0 && runs.allSatisfy { $0.value == times } }
  }

  final class Counter: Sendable {
    private let number = Atomic<Int>(0)
    func increment() { number.add(1, ordering: .relaxed) }
    var value: Int { number.load(ordering: .relaxed) }
  }

  @Test(arguments: [1, 2, 3, 4, 7, 8], [0, 1, 2, 5, 64, 1000])
  func everyTaskOnce(threads: Int, tasks: Int) throws {
    let pool = try WorkerPool(threads: threads)
    let tally = Tally(tasks: tasks, threads: threads)
    for _ in 0..<20 { pool.run(tasks: tasks, tally) }
    #expect(tally.eachRan(20))
    pool.run(tasks: tasks) { task, worker in tally.perform(task: task, worker: worker) }
    #expect(tally.eachRan(21))
  }

  @Test func negativeTaskCountDoesNothing() throws {
    let pool = try WorkerPool(threads: 2)
    pool.run(tasks: -1) { _, _ in Issue.record("a task ran") }
  }

  @Test(arguments: [0, -1, .min, 1025, .max])
  func refusedThreadCounts(_ threads: Int) {
    #expect(throws: PoolError.threads(threads)) { try WorkerPool(threads: threads) }
  }

  @Test func workersAreExclusive() throws {
    let pool = try WorkerPool(threads: 4)
    let busy = (0..<4).map { _ in Counter() }
    let overlaps = Counter()
    // Plain memory by worker: two tasks on one worker at once would be a race, found by the thread sanitizer.
    let scratch = UnsafeMutablePointer<Int>.allocate(capacity: 4)
    scratch.initialize(repeating: 0, count: 4)
    defer { scratch.deallocate() }
    for _ in 0..<200 {
      pool.run(tasks: 37) { _, worker in
        scratch[worker] += 1
        busy[worker].increment()
        if scratch[worker] != busy[worker].value { overlaps.increment() }
      }
    }
    #expect(overlaps.value == 0)
    #expect((0..<4).reduce(0) { $0 + scratch[$1] } == 200 * 37)
  }

  @Test func manyCallersAtOnce() async throws {
    let pool = try WorkerPool(threads: 3)
    let inside = Counter()
    let left = Counter()
    let interleaved = Counter()
    await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<8 {
        group.addTask {
          let tally = Tally(tasks: 50, threads: 3)
          for _ in 0..<50 {
            pool.run(tasks: 50) { task, worker in
              // The number of tasks before this one in whole calls: calls take turns, so at most one is partly done.
              if task == 0, inside.value % 50 != 0 || left.value % 50 != 0 { interleaved.increment() }
              inside.increment()
              tally.perform(task: task, worker: worker)
              left.increment()
            }
          }
          return tally.eachRan(50)
        }
      }
      for await correct in group { #expect(correct) }
    }
    #expect(inside.value == 8 * 50 * 50)
    #expect(left.value == inside.value)
  }

  @Test(arguments: [1, 2, 4])
  func nestedCallsRunInline(threads: Int) throws {
    let pool = try WorkerPool(threads: threads)
    let tally = Tally(tasks: 30, threads: threads)
    let moved = Counter()
    pool.run(tasks: 6) { outer, worker in
      pool.run(tasks: 5) { inner, innerWorker in
        if innerWorker != worker { moved.increment() }
        pool.run(tasks: 1) { _, deepest in tally.perform(task: outer * 5 + inner, worker: deepest) }
      }
    }
    #expect(moved.value == 0)
    #expect(tally.eachRan(1))
  }

  @Test func callsOfTwoPoolsNest() throws {
    let outer = try WorkerPool(threads: 2)
    let inner = try WorkerPool(threads: 2)
    let tally = Tally(tasks: 40, threads: 2)
    outer.run(tasks: 4) { task, _ in
      inner.run(tasks: 10) { part, worker in tally.perform(task: task * 10 + part, worker: worker) }
    }
    #expect(tally.eachRan(1))
  }

  @Test func poolsComeAndGo() throws {
    for round in 0..<100 {
      let pool = try WorkerPool(threads: 1 + round % 4)
      if round % 3 != 0 { pool.run(tasks: 9) { _, _ in } }
    }
  }

  @Test func sleepingWorkersWake() async throws {
    let pool = try WorkerPool(threads: 4)
    let tally = Tally(tasks: 16, threads: 4)
    for _ in 0..<20 {
      pool.run(tasks: 16, tally)
      try await Task.sleep(for: .milliseconds(2))
    }
    #expect(tally.eachRan(20))
  }
}
