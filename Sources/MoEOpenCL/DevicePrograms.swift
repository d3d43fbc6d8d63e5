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

  /// The program of a variant; on the device's thread. It is made once, and one that fails to build or to pass its test fails the same way ever after.
  func program(_ variant: KernelVariant, on context: OpenCLContext) throws(OpenCLError) -> DeviceProgram {
    if let result = known.withLock({ $0[variant] }) { return try result.get() }
    let result: Result<DeviceProgram, OpenCLError>
    do throws(OpenCLError) {
      let program = try DeviceProgram(variant, on: context, cache: cache)
      try SelfTest(variant).run(program, on: context)
      result = .success(program)
    } catch {
      result = .failure(error)
    }
    known.withLock { $0[variant] = result }
    return try result.get()
  }

  /// A line for each variant that this driver gets wrong.
  var notes: [String] {
    known.withLock { known in known.values.compactMap { if case .failure(let error) = $0 { "\(error)" } else { nil } }.sorted() }
  }

  func release() { known.withLock { $0 = [:] } }
}
#endif
