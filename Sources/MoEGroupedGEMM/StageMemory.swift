// Memory of the stages of a forward pass: inputs as kernels read them, and scratch of every worker.

internal import CMoEKernels
internal import MoETensors

/// What the stages of one forward pass keep beside their rows; a stage uses the memory of the one before again.
package final class StageMemory: Sendable {
  /// Inputs of the routed experts and of the shared one.
  let routed = InputMemory(), shared = InputMemory()
  let scratch = GrowableBuffer()

  package init() {}

  /// Gives the memory back.
  package func release() {
    for buffer in [routed.weighted, routed.quantized, shared.weighted, shared.quantized, scratch] { buffer.release() }
  }
}

/// Memory of one stage input: rows times their coefficients, and their int8 form.
struct InputMemory: Sendable {
  let weighted = GrowableBuffer(), quantized = GrowableBuffer()
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
  private let gemm: Int, inputs: Int, each: Int

  /// - Parameters:
  ///   - columns: width of the widest input.
  ///   - reorders: true when some matrix wants its input columns in another order.
  init(workers: Int, columns: Int, reorders: Bool, in buffer: GrowableBuffer) {
    gemm = Int(moe_gemm_scratch())
    inputs = reorders ? tokenTile * columns : 0
    each = (gemm + inputs + 2 * tokenTile * taskRows + 15) / 16 * 16
    base = buffer.room(for: workers * each)
  }

  subscript(worker: Int) -> WorkerScratch {
    let base = base + worker * each
    return WorkerScratch(gemm: base, inputs: base + gemm, gate: base + gemm + inputs, up: base + gemm + inputs + tokenTile * taskRows)
  }
}
