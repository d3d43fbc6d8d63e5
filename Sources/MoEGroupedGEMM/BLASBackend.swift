// OpenBLAS as an explicit f32 backend: one product an expert on weights widened for the call.

internal import CMoEKernels
internal import MoEDispatch
package import MoEExperts
package import MoEPlacement
package import MoETensors

#if OpenBLAS
  internal import CMoEOpenBLAS
#endif

/// Grouped GEMM through `cblas_sgemm`. Chosen explicitly, never silently: its bits depend on the number of rows and threads.
package struct BLASBackend: Sendable {
  private let host: CPUBackend

  /// Nil when the package was built without the trait OpenBLAS.
  package init?(kernels: KernelTable, pool: WorkerPool) {
    #if OpenBLAS
      host = CPUBackend(kernels: kernels, pool: pool)
    #else
      return nil
    #endif
  }
}

extension BLASBackend: GroupedGEMMBackend {
  package var name: String { "blas" }

  package func precision(of bank: ExpertBank) -> ActivationPrecision { .float }

  package func gateUp(_ routed: ExpertPass, _ shared: ExpertPass?, _ memory: StageMemory, feedsDown: Bool) {
    gateUp(routed)
    if let shared { gateUp(shared) }
  }

  private func gateUp(_ pass: ExpertPass) {
    let bank = pass.bank, plan = pass.plan
    for expert in plan.activeExperts {
      let group = plan.rows(of: Int(expert)), weights = bank.experts[Int(expert)]
      let input = FloatRows(count: group.count, columns: bank.hidden)
      for (index, row) in group.enumerated() {
        let factor = bank.weightOnInput ? plan.weights[row] : 1, source = pass.input.row(Int(plan.tokens[row]))
        for column in 0..<bank.hidden { input.row(index)[column] = factor * source[column] }
      }
      let target = pass.activated.part(group)
      let up = FloatRows(count: group.count, columns: bank.intermediate), gate = FloatRows(count: group.count, columns: bank.intermediate)
      multiply(weights.up, input, up, weights.upBias)
      if let matrix = weights.gate { multiply(matrix, input, gate, weights.gateBias) }
      for index in 0..<group.count {
        host.kernels.row.pointee.activate(
          bank.activation.borrowed, bank.isGated ? gate.row(index) : nil, up.row(index), Int64(bank.intermediate), target.row(index))
      }
      withExtendedLifetime((input, up, gate)) {}
    }
  }

  package func downCombined(_ routed: ExpertPass, _ shared: ExpertPass?, into output: FloatRows, adding: Bool, _ memory: StageMemory) {
    down(routed, into: routed.outputs, memory)
    combine(routed, routed.outputs, into: output, adding: adding)
    if let shared { downCombined(shared, nil, into: output, adding: true, memory) }
  }

  package func down(_ pass: ExpertPass, into outputs: FloatRows, _ memory: StageMemory) {
    for expert in pass.plan.activeExperts {
      let group = pass.plan.rows(of: Int(expert)), weights = pass.bank.experts[Int(expert)]
      multiply(weights.down, pass.activated.part(group), outputs.part(group), weights.downBias)
    }
  }

  package func project(_ matrix: PackedMatrix, _ input: FloatRows, into outputs: FloatRows, _ memory: StageMemory) {
    multiply(matrix, input, outputs, nil)
  }

  package func combine(_ pass: ExpertPass, _ outputs: FloatRows, into output: FloatRows, adding: Bool) {
    host.combine(pass, outputs, into: output, adding: adding)
  }

  private func multiply(_ matrix: PackedMatrix, _ input: FloatRows, _ out: FloatRows, _ bias: [Float]?) {
    guard input.count > 0 else { return }
    #if OpenBLAS
      let weights = matrix.decoded()
      cblas_sgemm(
        CblasRowMajor, CblasNoTrans, CblasTrans, blasint(input.count), blasint(matrix.rows), blasint(matrix.columns), 1, input.base,
        blasint(input.stride), weights, blasint(matrix.columns), 0, out.base, blasint(out.stride))
    #endif
    if let bias { for row in 0..<out.count { for column in 0..<out.columns { out.row(row)[column] += bias[column] } } }
  }
}
