// Memory of the stages of a forward pass: inputs as kernels read them, and scratch of every worker.

internal import CMoEKernels
internal import MoETensors

/// What the stages of one forward pass share; a stage uses the memory of the one before again.
package final class StageMemory: Sendable {
  /// Of a projection around the experts.
  package let projection = PassMemory()
  let scratch = GrowableBuffer(), queues = GrowableBuffer()

  package init() {}

  /// Gives the memory back.
  package func release() {
    projection.release()
    for buffer in [scratch, queues] { buffer.release() }
  }
}

/// What one bank's stages keep beside their rows: rows times their coefficients, their rounded form, that of what lies between the products, the cut
/// into pieces, and the rows behind down where they are not combined at once.
package final class PassMemory: Sendable {
  let weighted = GrowableBuffer(), rounded = GrowableBuffer(), activated = GrowableBuffer(), pieces = GrowableBuffer(), outputs = GrowableBuffer()
  /// What a device keeps from one stage and call to the next; written by the one call that the memory serves.
  package nonisolated(unsafe) var device: (any AnyObject & Sendable)?

  package init() {}

  /// Gives the memory back.
  package func release() {
    for buffer in [weighted, rounded, activated, pieces, outputs] { buffer.release() }
    device = nil
  }
}

/// Memory of one worker for one stage.
struct WorkerScratch {
  let gemm: UnsafeMutablePointer<Float>
  let inputs: UnsafeMutablePointer<Float>
  let gate: UnsafeMutablePointer<Float>
  let up: UnsafeMutablePointer<Float>
}

/// Scratch of every worker.
struct StageScratch {
  private let base: UnsafeMutablePointer<Float>
  private let gemm: Int, inputs: Int, between: Int, each: Int

  /// - Parameters:
  ///   - columns: width of the widest input.
  ///   - reorders: true when some matrix wants its input columns in another order.
  ///   - step: weight rows of a piece whose products are activated or combined.
  init(workers: Int, columns: Int, reorders: Bool, step: Int = 0, in buffer: GrowableBuffer) {
    gemm = Int(moe_gemm_scratch())
    inputs = reorders ? (tokenTile * columns + 15) / 16 * 16 : 0
    between = tokenTile * step
    each = (gemm + inputs + 2 * between + 15) / 16 * 16
    base = buffer.room(for: workers * each)
  }

  subscript(worker: Int) -> WorkerScratch {
    let base = base + worker * each
    return WorkerScratch(gemm: base, inputs: base + gemm, gate: base + gemm + inputs, up: base + gemm + inputs + between)
  }
}
