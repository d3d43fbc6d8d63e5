// The CPU backend: kernels of one ISA, driven by a pool of threads.

internal import CMoEKernels
package import MoEDispatch
package import MoEExperts
package import MoEPlacement
package import MoETensors

/// Grouped GEMM on the CPU. Results are the same bits for every number of threads and every batch.
package struct CPUBackend: Sendable {
  package let kernels: KernelTable
  package let pool: WorkerPool
  package let precision: ActivationPrecision

  package init(kernels: KernelTable, pool: WorkerPool, precision: ActivationPrecision = .float) {
    self.kernels = kernels
    self.pool = pool
    self.precision = precision
  }
}

extension CPUBackend: GroupedGEMMBackend {
  package var name: String { "cpu" }

  package func usesInt8(_ bank: ExpertBank) -> Bool {
    bank.experts.contains { takesInt8($0.up) || takesInt8($0.down) || $0.gate.map(takesInt8) == true }
  }

  package func gateUp(_ bank: ExpertBank, _ plan: DispatchPlan, _ hidden: FloatRows, into activated: FloatRows) {
    let input = StageInput(hidden, plan, for: bank, self)
    let scratch = StageScratch(workers: pool.threads, columns: bank.hidden, reorders: bank.reordersColumns)
    forEachPanel(plan, rows: bank.intermediate) { expert, panel, tile, worker in
      let scratch = scratch[worker], weights = bank.experts[expert], width = panel.count
      multiply(weights.up, weights.upBias, panel, input, tile, segment: bank.hidden, into: scratch.up, stride: width, scratch)
      if let gate = weights.gate {
        multiply(gate, weights.gateBias, panel, input, tile, segment: bank.hidden, into: scratch.gate, stride: width, scratch)
      }
      for (index, row) in tile.enumerated() {
        kernels.activate(
          bank.activation, gate: bank.isGated ? scratch.gate + index * width : nil, up: scratch.up + index * width, width,
          into: activated.row(row) + panel.lowerBound)
      }
    }
  }

  package func down(_ bank: ExpertBank, _ plan: DispatchPlan, _ activated: FloatRows, into outputs: FloatRows) {
    let input = StageInput(activated, for: bank.experts.lazy.map(\.down), self)
    let scratch = StageScratch(workers: pool.threads, columns: bank.intermediate, reorders: bank.reordersColumns)
    forEachPanel(plan, rows: bank.hidden) { expert, panel, tile, worker in
      let weights = bank.experts[expert]
      multiply(
        weights.down, weights.downBias, panel, input, tile, segment: weights.down.segment,
        into: outputs.row(tile.lowerBound) + panel.lowerBound, stride: outputs.stride, scratch[worker])
    }
  }

  package func project(_ matrix: PackedMatrix, _ input: FloatRows, into outputs: FloatRows) {
    let stage = StageInput(input, for: [matrix], self)
    let scratch = StageScratch(workers: pool.threads, columns: matrix.columns, reorders: matrix.inputOrder != nil)
    forEachPanel(DispatchPlan(everyToken: [Float](repeating: 1, count: input.count)), rows: matrix.rows) { _, panel, tile, worker in
      multiply(
        matrix, nil, panel, stage, tile, segment: matrix.columns, into: outputs.row(tile.lowerBound) + panel.lowerBound,
        stride: outputs.stride, scratch[worker])
    }
  }

  package func combine(
    _ bank: ExpertBank, _ plan: DispatchPlan, _ outputs: FloatRows, hidden: FloatRows, into output: FloatRows, adding: Bool
  ) {
    pool.run(tasks: plan.tokenCount) { token, _ in
      let target = output.row(token)
      if !adding { target.update(repeating: 0, count: output.columns) }
      for index in plan.rowOffsets[token]..<plan.rowOffsets[token + 1] {
        let row = plan.rowOf[index]
        kernels.accumulate((bank.weightOnInput ? 1 : plan.weights[row]) * bank.outputScale, outputs.row(row), output.columns, into: target)
      }
      if !plan.identityWeights.isEmpty, plan.identityWeights[token] != 0 {
        kernels.accumulate(plan.identityWeights[token], hidden.row(token), output.columns, into: target)
      }
    }
  }

  package func forEach(_ count: Int, _ body: (Int) -> Void) { pool.run(tasks: count) { task, _ in body(task) } }

  /// Runs `body` for every (expert with rows, weight panel, token tile), tiles of a panel in one task.
  private func forEachPanel(
    _ plan: DispatchPlan, rows: Int, _ body: (_ expert: Int, _ panel: Range<Int>, _ tile: Range<Int>, _ worker: Int) -> Void
  ) {
    let busy = (0..<plan.experts).filter { !plan.rows(of: $0).isEmpty }
    let panels = (rows + panelRows - 1) / panelRows
    pool.run(tasks: busy.count * panels) { task, worker in
      let expert = busy[task / panels], first = task % panels * panelRows
      let group = plan.rows(of: expert)
      for start in stride(from: group.lowerBound, to: group.upperBound, by: tokenTile) {
        body(expert, first..<min(first + panelRows, rows), start..<min(start + tokenTile, group.upperBound), worker)
      }
    }
  }
}

extension KernelTable {
  /// The nonlinearity of one row; gate nil for ungated experts.
  func activate(
    _ activation: ExpertActivation, gate: UnsafePointer<Float>?, up: UnsafePointer<Float>, _ count: Int, into out: UnsafeMutablePointer<Float>
  ) {
    row.pointee.activate(activation.borrowed, gate, up, Int64(count), out)
  }

  /// y += weight * x.
  func accumulate(_ weight: Float, _ x: UnsafePointer<Float>, _ count: Int, into y: UnsafeMutablePointer<Float>) {
    row.pointee.accumulate(weight, x, Int64(count), y)
  }
}
