// The OpenCL devices that a machine's layers use, each with one context.

package import MoEExperts
package import MoEGroupedGEMM
package import MoEPlacement
package import MoERouting
package import MoETensors
internal import Synchronization

/// Contexts by the index of their device; made when a layer first asks.
package final class OpenCLContexts: Sendable {
  private let options: OpenCLOptions
  #if OpenCL
    private let contexts = Mutex<[Int: OpenCLContext]>([:])
  #endif

  package init(_ options: OpenCLOptions) { self.options = options }

  #if OpenCL
    /// A backend that holds the banks and projections of one layer on device `index` of `OpenCL.discover().devices`.
    ///
    /// - Parameters:
    ///   - precision: what activations are rounded to where the weights suit it; that of the one in `former`.
    ///   - router: what routes the tokens of the first bank, which the device does where it can; nil to leave it to the host.
    ///   - former: backends of which the one on this device may hold some of them already.
    /// - Throws: `OpenCLError`: no such device, one that is lost, no room in its memory or budget, kernels that do not build or are wrong.
    package func backend(
      on index: Int, _ banks: [ExpertBank], _ projections: [PackedMatrix], _ precision: ActivationPrecision = .float, router: Router? = nil,
      former: [any GroupedGEMMBackend] = []
    ) throws(OpenCLError) -> any DeviceBackend {
      let context = try context(of: index), former = former.lazy.compactMap { $0 as? OpenCLBackend }.first { $0.context === context }
      return try context.run { () throws(OpenCLError) in
        try OpenCLBackend(context, index: index, banks, projections, former?.precision ?? precision, router, former: former)
      }
    }

    private func context(of index: Int) throws(OpenCLError) -> OpenCLContext {
      try contexts.withLock { (contexts) throws(OpenCLError) in
        if let known = contexts[index] { return known }
        let made = try OpenCLContext(device: index, options)
        contexts[index] = made
        return made
      }
    }

    /// Tries sizes of products on a device for about `seconds`, and keeps those that are faster than the default beside the compiled programs, for
    /// machines made later.
    ///
    /// - Throws: `OpenCLError`; `CheckpointError` when they cannot be written.
    package func tune(_ index: Int, seconds: Double) throws -> Tuning {
      let context = try context(of: index)
      let (tuning, shape) = try context.run { () throws(OpenCLError) in try Tuner(context).tune(seconds: seconds) }
      try options.programs?.keep(shape.map { [$0.method: $0] } ?? [:], of: context.device)
      return tuning
    }

    /// What no kernel on a device is used for, because the driver gets it wrong, and how devices were lost.
    package var notes: [String] { contexts.withLock { $0.sorted { $0.key < $1.key }.flatMap { $0.value.notes } } }
  #else
    package func backend(
      on index: Int, _ banks: [ExpertBank], _ projections: [PackedMatrix], _ precision: ActivationPrecision = .float, router: Router? = nil,
      former: [any GroupedGEMMBackend] = []
    ) throws(OpenCLError) -> any DeviceBackend {
      throw OpenCLError(call: "clGetPlatformIDs", status: -1001, detail: "the package was built without the trait OpenCL")
    }

    package var notes: [String] { [] }
  #endif
}
