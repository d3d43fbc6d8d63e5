// Which CPUs workers are bound to, and what is said where the system refuses.

import Foundation
import MoEPlacement
import Synchronization
import Testing

@Suite struct BindingTests {
  private func cpus(_ workers: Int, of usable: [Int], bound: [Int: Int] = [:], caller: Int? = nil, siblings: (Int) -> [Int] = { [$0] }) -> [Int] {
    CPUBinding.cpus(for: workers, of: usable, bound: bound, caller: caller, siblings: siblings)
  }

  @Test func everyWorkerHasACPUOfItsOwn() {
    #expect(cpus(1, of: [0, 1], caller: 0) == [1])
    #expect(cpus(1, of: [0, 1], caller: 1) == [0])
    #expect(cpus(3, of: [2, 5, 7, 9], caller: 5) == [2, 7, 9])
    #expect(cpus(0, of: [4]) == [])
    #expect(cpus(2, of: [0, 1]) == [])
    #expect(cpus(7, of: [0, 1, 2]) == [])
  }

  @Test func coresComeBeforeTheirSecondThreads() {
    let pairs = { (cpu: Int) in [cpu % 4, cpu % 4 + 4] }
    #expect(cpus(3, of: Array(0..<8), caller: 1, siblings: pairs) == [0, 2, 3])
    #expect(cpus(6, of: Array(0..<8), caller: 1, siblings: pairs) == [0, 2, 3, 1, 4, 5])
    // A second thread whose first may not be used is a core of its own.
    #expect(cpus(2, of: [1, 4, 5], caller: 1, siblings: pairs) == [4, 1])
  }

  @Test func aSecondPoolTakesTheCPUsThatAreLeft() {
    #expect(cpus(1, of: [0, 1, 2, 3], bound: [1: 1], caller: 0) == [2])
    #expect(cpus(2, of: [0, 1, 2, 3], bound: [1: 1, 2: 1], caller: 0) == [3, 0])
    #expect(cpus(3, of: [0, 1, 2, 3], bound: [0: 1, 1: 1, 2: 2, 3: 1], caller: 0) == [1, 3, 0])
  }

  #if os(Linux)
    /// The affinity masks of a pool's workers; the caller is worker 0.
    private func masks(_ pool: WorkerPool) -> [[Int]] {
      let masks = UnsafeMutablePointer<[Int]>.allocate(capacity: pool.threads), waiting = Atomic<Int>(0)
      masks.initialize(repeating: [], count: pool.threads)
      defer { masks.deinitialize(count: pool.threads).deallocate() }
      // Tasks that wait for one another meet every worker.
      pool.run(tasks: pool.threads) { _, worker in
        masks[worker] = CPULimits.allowedCPUs()
        waiting.add(1, ordering: .relaxed)
        let end = ContinuousClock.now + .seconds(20)
        while waiting.load(ordering: .relaxed) < pool.threads, ContinuousClock.now < end { sched_yield() }
      }
      return Array(UnsafeBufferPointer(start: masks, count: pool.threads))
    }

    @Test func workersAreBoundAndTheCallerIsNot() throws {
      let usable = CPULimits.allowedCPUs(), threads = min(4, usable.count)
      let pinned = masks(try WorkerPool(threads: threads, pinned: true))
      #expect(pinned[0] == usable)
      #expect(pinned.dropFirst().allSatisfy { $0.count == 1 && usable.contains($0[0]) } || threads == 1)
      #expect(Set(pinned.dropFirst()).count == threads - 1)
      #expect(masks(try WorkerPool(threads: threads, pinned: false)).allSatisfy { $0 == usable })
      #expect(masks(try WorkerPool(threads: usable.count + 1, pinned: true)).allSatisfy { $0 == usable })
    }

    /// Where a pool takes every CPU its workers have one each, whoever else is bound there; elsewhere they are free.
    @Test func aPoolOfEveryCPUIsPinned() throws {
      let usable = CPULimits.allowedCPUs()
      for _ in 0..<2 {
        let own = masks(try WorkerPool(threads: usable.count))
        #expect(own[0] == usable && own.dropFirst().allSatisfy { $0.count == 1 } && Set(own.dropFirst()).count == usable.count - 1)
      }
      let limits = CPULimits(cpus: usable, quota: nil), quota = CPULimits(cpus: usable, quota: Double(usable.count) - 0.5)
      #expect(masks(try WorkerPool(threads: usable.count + 1, pinned: nil, limits: limits)).allSatisfy { $0 == usable })
      #expect(masks(try WorkerPool(threads: max(1, usable.count - 1), pinned: nil, limits: limits)).allSatisfy { $0 == usable })
      #expect(masks(try WorkerPool(threads: usable.count, pinned: nil, limits: quota)).count == usable.count)
    }

    @Test func twoPoolsTakeCPUsInTurn() throws {
      let usable = CPULimits.allowedCPUs()
      guard usable.count >= 2 else { return }
      let before = CPUBinding.boundThreads()
      let pools = try (0..<usable.count).map { _ in try WorkerPool(threads: 2, pinned: true) }
      let own = pools.map { masks($0)[1][0] }, after = CPUBinding.boundThreads()
      #expect(pools.allSatisfy { $0.notes.isEmpty })
      // Other tests bind threads too while this one runs; alone there is a CPU for every worker.
      if before.isEmpty, after.values.reduce(0, +) == usable.count { #expect(Set(own).count == usable.count, "\(own)") }
    }

    /// A caller that comes to a worker's CPU gets it for itself, and the worker the one that was left.
    @Test func workersMakeWayForTheCaller() async throws {
      let usable = CPULimits.allowedCPUs()
      guard usable.count >= 2 else { return }
      let pool = try WorkerPool(threads: usable.count)
      let found = await withCheckedContinuation { done in
        Thread.detachNewThread {
          let tries = (usable + usable.reversed()).map { cpu in (cpu, CPUBinding.bind(to: [cpu]), masks(pool).dropFirst()) }
          done.resume(returning: tries)
        }
      }
      for (cpu, status, workers) in found where status == 0 {
        #expect(workers.allSatisfy { $0.count == 1 && $0 != [cpu] } && Set(workers).count == usable.count - 1, "caller on \(cpu), workers on \(workers)")
      }
    }

    @Test func aRefusedBindingIsSaidAndTheWorkIsDone() throws {
      let pool = try WorkerPool(threads: 3, pinned: true, limits: CPULimits(cpus: [5000, 5001, 5002], quota: nil))
      #expect(pool.notes.isEmpty)
      let masks = masks(pool)
      #expect(masks.allSatisfy { $0 == CPULimits.allowedCPUs() })
      #expect(pool.notes == ["2 of 3 threads are not bound to CPUs: pthread_setaffinity_np failed, errno \(EINVAL)"])
    }

    @Test func workersDoNotShareThePinnedThreadThatStartsThem() async throws {
      let usable = CPULimits.allowedCPUs()
      guard usable.count >= 2 else { return }
      let pool = try WorkerPool(threads: 2, pinned: false)
      let found = await withCheckedContinuation { done in
        Thread.detachNewThread {
          guard CPUBinding.bind(to: [usable[0]]) == 0 else { return done.resume(returning: [[Int]]()) }
          done.resume(returning: masks(pool))
        }
      }
      #expect(found == [[usable[0]], usable] || found.isEmpty)
    }
  #endif

  @Test func largePages() {
    let enabled = "/sys/kernel/mm/transparent_hugepage/enabled"
    func obstacle(_ files: [String: String], _ status: Int32 = 0) -> String? { LargePages.obstacle(read: { files[$0] }, advise: { status }) }
    #if os(Linux)
      #expect(obstacle([enabled: "always [madvise] never\n"]) == nil)
      #expect(obstacle([enabled: "[always] madvise never\n", "/proc/self/status": "Name:\tx\nTHP_enabled:\t1\n"]) == nil)
      #expect(obstacle([enabled: "always madvise [never]\n"])?.contains("never") == true)
      #expect(obstacle([enabled: "always [madvise] never\n", "/proc/self/status": "THP_enabled:\t0\n"])?.contains("THP_enabled") == true)
      #expect(obstacle([:])?.contains("no large pages") == true)
      #expect(obstacle([enabled: "[always] madvise never\n"], EINVAL)?.contains("errno \(EINVAL)") == true)
    #else
      #expect(obstacle([:]) == nil)
    #endif
  }
}
