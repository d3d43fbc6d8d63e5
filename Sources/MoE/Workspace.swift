// The memory of a forward pass, kept from one call to the next.

internal import MoEDispatch
internal import MoEExperts
public import MoEFamilies
internal import MoEGroupedGEMM
internal import MoERouting
internal import MoETensors
internal import Synchronization

/// Every buffer that `MoELayer.forward` needs: widened inputs, logits, assignments, dispatch plan, rows between the stages, scratch of
/// every worker.
///
/// It grows to what its calls need and keeps that until `releaseMemory`; layers of any shape can share one. It serves one call at a time:
/// a second one meanwhile throws `MoEError.workspaceInUse`.
///
/// A call that needs no more than the calls before allocates nothing, as long as no `RouterOutput` that an earlier call returned is still
/// held: its arrays are the workspace's. Allocating all the same are `Device.blas`, routers whose capacity serves the best tokens
/// first, and calls that throw.
public final class Workspace: Sendable {
  private let inUse = Atomic(false)
  let hidden = GrowableBuffer(), result = GrowableBuffer(), latent = GrowableBuffer(), combined = GrowableBuffer()
  let choices = GrowableBuffer(), sharedCoefficients = GrowableBuffer()
  let routed = BankMemory(), shared = BankMemory()
  let stages = StageMemory()
  /// Written by the one call that claimed the workspace.
  nonisolated(unsafe) var routing = RouterOutput()

  /// A workspace without memory yet.
  public init() {}

  /// First row of each expert in the last call's dispatch plan, and the end: how many rows each expert had, for statistics of load.
  ///
  /// - Throws: `MoEError.workspaceInUse` during a call.
  public var expertOffsets: [Int] {
    get throws(MoEError) {
      try claim()
      defer { release() }
      return routed.plan.offsets
    }
  }

  /// Gives all memory back.
  ///
  /// - Throws: `MoEError.workspaceInUse` during a call.
  public func releaseMemory() throws(MoEError) {
    try claim()
    for buffer in [hidden, result, latent, combined, choices, sharedCoefficients] { buffer.release() }
    routed.release()
    shared.release()
    stages.release()
    routing = RouterOutput()
    release()
  }

  func claim() throws(MoEError) {
    if inUse.exchange(true, ordering: .acquiring) { throw .workspaceInUse }
  }

  func release() { inUse.store(false, ordering: .releasing) }
}

/// Memory of one bank's pass.
final class BankMemory: Sendable {
  private let activated = GrowableBuffer(), stages = PassMemory()
  /// Written by the one call that claimed the workspace.
  nonisolated(unsafe) var plan = DispatchPlan()

  /// The pass of `plan` through a bank.
  func pass(_ bank: ExpertBank, input: FloatRows) -> ExpertPass {
    ExpertPass(
      bank, plan, input: input, activated: FloatRows(count: plan.rows, columns: bank.intermediate, in: activated), in: stages)
  }

  func release() {
    activated.release()
    stages.release()
    plan = DispatchPlan()
  }
}
