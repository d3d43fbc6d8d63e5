// The CPU backend: kernels of one ISA, driven by a pool of threads.

internal import CMoEKernels
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

  package func usesInt8(_ bank: ExpertBank) -> Bool { takesInt8(bank.gateUpFormats) || takesInt8(bank.downFormats) }

  package func gateUp(_ routed: ExpertPass, _ shared: ExpertPass?, _ memory: StageMemory) {
    let input = StageInput(gateUpOf: routed, self, in: memory.routed)
    let beside = shared.map { StageInput(gateUpOf: $0, self, in: memory.shared, beside: input) }
    pool.run(both(shared, beside) { InputWork($1, gateUpOf: $0, kernels) }, InputWork(input, gateUpOf: routed, kernels))
    let scratch = scratch(columns: max(routed.bank.hidden, shared?.bank.hidden ?? 0), for: routed, shared, in: memory)
    pool.run(
      both(shared, beside) { GateUpWork(backend: self, pass: $0, input: $1, scratch: scratch) },
      GateUpWork(backend: self, pass: routed, input: input, scratch: scratch))
  }

  package func down(_ routed: ExpertPass, _ shared: ExpertPass?, _ memory: StageMemory) {
    let input = StageInput(routed.activated, isQuantized: takesInt8(routed.bank.downFormats), in: memory.routed)
    let beside = shared.map { StageInput($0.activated, isQuantized: takesInt8($0.bank.downFormats), in: memory.shared) }
    pool.run(beside.map { InputWork($0, kernels) }, InputWork(input, kernels))
    let scratch = scratch(columns: max(routed.bank.intermediate, shared?.bank.intermediate ?? 0), for: routed, shared, in: memory)
    pool.run(
      both(shared, beside) { DownWork(backend: self, pass: $0, input: $1, scratch: scratch) },
      DownWork(backend: self, pass: routed, input: input, scratch: scratch))
  }

  package func project(_ matrix: PackedMatrix, _ input: FloatRows, into outputs: FloatRows, _ memory: StageMemory) {
    let stage = StageInput(input, isQuantized: takesInt8(matrix), in: memory.routed)
    pool.run(nil, InputWork(stage, kernels))
    let scratch = StageScratch(workers: pool.threads, columns: matrix.columns, reorders: matrix.inputOrder != nil, in: memory.scratch)
    pool.run(nil, ProjectWork(backend: self, matrix: matrix, input: stage, outputs: outputs, scratch: scratch))
  }

  package func combine(_ routed: ExpertPass, _ shared: ExpertPass?, into output: FloatRows, adding: Bool) {
    pool.run(
      tasks: output.count,
      CombineWork(kernels: kernels, routed: routed, shared: shared ?? routed, hasShared: shared != nil, output: output, adding: adding))
  }

  private func scratch(columns: Int, for routed: ExpertPass, _ shared: ExpertPass?, in memory: StageMemory) -> StageScratch {
    let reorders = routed.bank.reordersColumns || shared?.bank.reordersColumns == true
    return StageScratch(workers: pool.threads, columns: columns, reorders: reorders, in: memory.scratch)
  }
}

/// The work of the shared expert's pass, where there is one.
private func both<Work>(_ pass: ExpertPass?, _ input: StageInput?, _ work: (ExpertPass, StageInput) -> Work) -> Work? {
  guard let pass, let input else { return nil }
  return work(pass, input)
}

extension KernelTable {
  /// The nonlinearity of one row; gate nil for ungated experts.
  func activate(
    _ activation: ExpertActivation, gate: UnsafePointer<Float>?, up: UnsafePointer<Float>, _ count: Int, into out: UnsafeMutablePointer<Float>
  ) {
    row.pointee.activate(activation.borrowed, gate, up, Int64(count), out)
  }
}
