// The programs of one device: compiled or read from the cache, tested before their first use.

#if OpenCL
import CMoEOpenCL
import MoEPlacement
import MoETensors
import Synchronization

/// Every program that a device has needed so far, and those it must not use.
final class DevicePrograms: Sendable {
  private let cache: ProgramCache?
  private let shapes: [TileShape]
  private let known = Mutex<[Key: Result<DeviceProgram, OpenCLError>]>([:])

  private struct Key: Hashable {
    /// Nil for the kernels that route.
    let variant: KernelVariant?, shape: TileShape
  }

  /// - Parameter shapes: how products may be computed, the best first.
  init(_ shapes: [TileShape], cache: ProgramCache?) { (self.shapes, self.cache) = (shapes, cache) }

  /// The program of a variant; on the device's thread. It is made once, and one that fails to build or to pass its test fails the same way
  /// ever after.
  func program(_ variant: KernelVariant, on context: OpenCLContext) throws(OpenCLError) -> DeviceProgram {
    try program(variant, try shape(on: context), on: context)
  }

  /// The best program for matrices of one kind on rounded activations that the driver gets right; nil when there is none.
  func roundingProgram(
    _ kind: MatrixKind, _ precision: ActivationPrecision, on context: OpenCLContext
  ) throws(OpenCLError) -> (KernelVariant, DeviceProgram)? {
    let shape = try shape(on: context)
    for products in RoundedProducts.suiting(kind, precision, shape, on: context) {
      let variant = KernelVariant(kind, on: products)
      do throws(OpenCLError) { return (variant, try program(variant, shape, on: context)) } catch where !context.isLost {}
    }
    return nil
  }

  /// The first shape that the driver gets right for f32: all programs of a device share it, since plans are cut for it.
  private func shape(on context: OpenCLContext) throws(OpenCLError) -> TileShape {
    for shape in shapes.dropLast() {
      do throws(OpenCLError) {
        _ = try program(.f32, shape, on: context)
        return shape
      } catch where !context.isLost {}
    }
    return shapes.last!
  }

  private func program(_ variant: KernelVariant, _ shape: TileShape, on context: OpenCLContext) throws(OpenCLError) -> DeviceProgram {
    try tested(Key(variant: variant, shape: shape)) { () throws(OpenCLError) in
      let program = try DeviceProgram(variant, shape, on: context, cache: cache)
      try SelfTest(variant).run(program, on: context)
      return program
    }
  }

  /// The kernels that route tokens and cut their plans for `shape`; as `program(_:on:)`.
  func routing(_ shape: TileShape, on context: OpenCLContext) throws(OpenCLError) -> DeviceProgram {
    try tested(Key(variant: nil, shape: shape)) { () throws(OpenCLError) in
      let program = try DeviceProgram(routingFor: shape, on: context, cache: cache)
      try RoutingTest().run(program, on: context)
      return program
    }
  }

  private func tested(_ key: Key, _ make: () throws(OpenCLError) -> DeviceProgram) throws(OpenCLError) -> DeviceProgram {
    if let result = known.withLock({ $0[key] }) { return try result.get() }
    let result: Result<DeviceProgram, OpenCLError>
    do throws(OpenCLError) { result = .success(try make()) } catch { result = .failure(error) }
    known.withLock { $0[key] = result }
    return try result.get()
  }

  /// A line for each variant that this driver gets wrong.
  var notes: [String] {
    known.withLock { known in known.values.compactMap { if case .failure(let error) = $0 { "\(error)" } else { nil } }.sorted() }
  }

  func release() { known.withLock { $0 = [:] } }
}
#endif
