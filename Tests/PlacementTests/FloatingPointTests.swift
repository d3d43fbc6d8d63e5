// Tasks see the default rounding mode, and the caller's comes back.

import MoEPlacement
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

@Suite struct FloatingPointTests {
  @Test func tasksRoundToNearest() throws {
    let pool = try WorkerPool(threads: 2)
    let initial = fegetround()
    defer { fesetround(initial) }
    let upward: Int = FE_UPWARD, nearest: Int = FE_TONEAREST
    fesetround(Int32(upward))
    let seen = UnsafeMutablePointer<Int32>.allocate(capacity: 8)
    defer { seen.deallocate() }
    pool.run(tasks: 8) { task, _ in seen[task] = fegetround() }
    #expect(fegetround() == Int32(upward))
    #expect((0..<8).allSatisfy { seen[$0] == Int32(nearest) })
    pool.run(tasks: 1) { _, _ in seen[0] = fegetround() }
    #expect(seen[0] == Int32(nearest))
  }
}
