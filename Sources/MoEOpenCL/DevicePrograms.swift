// The programs of one device: compiled or read from the cache, tested before their first use.

#if OpenCL
import CMoEOpenCL
import MoEPlacement
import Synchronization

/// Every program that a device has needed so far, and those it must not use.
final class DevicePrograms: Sendable {
  private let cache: ProgramCache?
  private let known = Mutex<[KernelVariant: Result<DeviceProgram, OpenCLError>]>([:])

  init(cache: ProgramCache?) { self.cache = cache }

  /// The program of a variant. It is made once, and one that fails to build or to pass its test fails the same way ever after.
  func program(_ variant: KernelVariant, on context: OpenCLContext) throws(OpenCLError) -> DeviceProgram {
    try known.withLock { (known) throws(OpenCLError) in
      if let result = known[variant] { return try result.get() }
      do throws(OpenCLError) {
        let program = try DeviceProgram(variant, on: context, cache: cache)
        try SelfTest(variant).run(program, on: context)
        known[variant] = .success(program)
        return program
      } catch {
        known[variant] = .failure(error)
        throw error
      }
    }
  }

  /// A line for each variant that this driver gets wrong.
  var notes: [String] {
    known.withLock { known in known.values.compactMap { if case .failure(let error) = $0 { "\(error)" } else { nil } }.sorted() }
  }

  func release() { known.withLock { $0 = [:] } }
}
#endif
