// A pool in a forked child.

#if os(Linux)
import MoEPlacement
import Testing
#if canImport(Glibc)
import Glibc
#else
import Musl
#endif

@Suite struct ForkTests {
  /// Swift hides `fork`; a program that embeds the library may still call it.
  @Test func childStartsItsOwnWorkers() throws {
    typealias Fork = @convention(c) () -> pid_t
    let symbol = try #require(dlsym(nil, "fork"))
    let fork = unsafeBitCast(symbol, to: Fork.self)
    let pool = try WorkerPool(threads: 3)
    let ran = UnsafeMutablePointer<Int32>.allocate(capacity: 64)
    ran.initialize(repeating: 0, count: 64)
    defer { ran.deallocate() }
    pool.run(tasks: 64) { task, _ in ran[task] += 1 }

    let child = fork()
    if child == 0 {
      alarm(20)
      for _ in 0..<10 { pool.run(tasks: 64) { task, _ in ran[task] += 1 } }
      _exit((0..<64).allSatisfy { ran[$0] == 11 } ? 0 : 1)
    }
    try #require(child > 0)
    var status: Int32 = -1
    while waitpid(child, &status, 0) == -1, errno == EINTR {}
    #expect(status == 0)
    pool.run(tasks: 64) { task, _ in ran[task] += 1 }
    #expect((0..<64).allSatisfy { ran[$0] == 2 })
  }
}
#endif
