// OpenBLAS as an explicit f32 backend: one product an expert on weights widened for the call.

package import MoEDispatch
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

  package func usesInt8(_ bank: ExpertBank) -> Bool { false }

  package func gateUp(_ bank: ExpertBank, _ plan: DispatchPlan, _ hidden: FloatRows, into activated: FloatRows) {
    for expert in 0..<bank.count where !plan.rows(of: expert).isEmpty {
      let group = plan.rows(of: expert), weights = bank.experts[expert]
      let input = FloatRows(count: group.count, columns: bank.hidden)
      for (index, row) in group.enumerated() {
        let factor = bank.weightOnInput ? plan.weights[row] : 1, source = hidden.row(Int(plan.tokens[row]))
        for column in 0..<bank.hidden { input.row(index)[column] = factor * source[column] }
      }
      let target = activated.part(group)
      let up = FloatRows(count: group.count, columns: bank.intermediate), gate = FloatRows(count: group.count, columns: bank.intermediate)
      multiply(weights.up, input, up, weights.upBias)
      if let matrix = weights.gate { multiply(matrix, input, gate, weights.gateBias) }
      for index in 0..<group.count {
        host.kernels.activate(bank.activation, gate: bank.isGated ? gate.row(index) : nil, up: up.row(index), bank.intermediate, into: target.row(index))
      }
      withExtendedLifetime((input, up, gate)) {}
    }
  }

  package func down(_ bank: ExpertBank, _ plan: DispatchPlan, _ activated: FloatRows, into outputs: FloatRows) {
    for expert in 0..<bank.count where !plan.rows(of: expert).isEmpty {
      let group = plan.rows(of: expert)
      multiply(bank.experts[expert].down, activated.part(group), outputs.part(group), bank.experts[expert].downBias)
    }
  }

  package func project(_ matrix: PackedMatrix, _ input: FloatRows, into outputs: FloatRows) { multiply(matrix, input, outputs, nil) }

  package func combine(
    _ bank: ExpertBank, _ plan: DispatchPlan, _ outputs: FloatRows, hidden: FloatRows, into output: FloatRows, adding: Bool
  ) {
    host.combine(bank, plan, outputs, hidden: hidden, into: output, adding: adding)
  }

  package func forEach(_ count: Int, _ body: (Int) -> Void) { host.forEach(count, body) }

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
