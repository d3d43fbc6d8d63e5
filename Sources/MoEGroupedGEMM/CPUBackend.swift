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

  package func usesInt8(_ bank: ExpertBank) -> Bool { bank.gateUpFormats.contains { takesInt8($0) } || bank.downFormats.contains { takesInt8($0) } }

  package func gateUp(_ routed: ExpertPass, _ shared: ExpertPass?, _ memory: StageMemory, feedsDown: Bool) {
    func input(_ pass: ExpertPass, _ memory: InputMemory) -> StageInput { StageInput(gateUpOf: pass, self, in: memory) }
    let first = input(routed, memory.routed), second = shared.map { input($0, memory.shared) }
    pool.run(
      both(shared, second) { InputWork($1, gateUpOf: $0, kernels, in: memory.shared.pieces) },
      InputWork(first, gateUpOf: routed, kernels, in: memory.routed.pieces), queues: memory.queues)
    let scratch = scratch(columns: max(routed.bank.hidden, shared?.bank.hidden ?? 0), for: routed, shared, step: gateUpStep, in: memory)
    func work(_ pass: ExpertPass, _ input: StageInput, _ memory: InputMemory) -> GateUpWork {
      GateUpWork(
        product: Product(kernels: kernels.row, input: input), cut: cut(pass, pass.bank.intermediate, step: gateUpStep, in: memory),
        experts: pass.bank.borrowed.values, activation: pass.bank.activation.borrowed, isGated: pass.bank.isGated, hidden: pass.bank.hidden,
        activated: pass.activated, rounded: feedsDown ? StageInput(downOf: pass, self, in: memory).rounded : nil, scratch: scratch)
    }
    pool.run(both(shared, second) { work($0, $1, memory.shared) }, work(routed, first, memory.routed), queues: memory.queues)
    withExtendedLifetime((routed, shared)) {}
  }

  package func down(_ routed: ExpertPass, _ shared: ExpertPass?, _ memory: StageMemory, followsGateUp: Bool) {
    func input(_ pass: ExpertPass, _ memory: InputMemory) -> StageInput { StageInput(downOf: pass, self, in: memory) }
    let first = input(routed, memory.routed), second = shared.map { input($0, memory.shared) }
    if !followsGateUp {
      pool.run(
        both(shared, second) { InputWork($1, RowGroups($0.plan), kernels, in: memory.shared.pieces) },
        InputWork(first, RowGroups(routed.plan), kernels, in: memory.routed.pieces), queues: memory.queues)
    }
    let scratch = scratch(columns: max(routed.bank.intermediate, shared?.bank.intermediate ?? 0), for: routed, shared, in: memory)
    func work(_ pass: ExpertPass, _ input: StageInput, _ memory: InputMemory) -> DownWork {
      DownWork(
        product: Product(kernels: kernels.row, input: input), cut: cut(pass, pass.bank.hidden, step: downStep, in: memory),
        experts: pass.bank.borrowed.values, outputs: pass.outputs, scratch: scratch)
    }
    pool.run(both(shared, second) { work($0, $1, memory.shared) }, work(routed, first, memory.routed), queues: memory.queues)
    withExtendedLifetime((routed, shared)) {}
  }

  package func project(_ matrix: PackedMatrix, _ input: FloatRows, into outputs: FloatRows, _ memory: StageMemory) {
    let stage = StageInput(input, for: matrix, self, in: memory.routed), groups = RowGroups(everyRow: input.count)
    pool.run(InputWork(stage, groups, kernels, in: memory.routed.pieces), queues: memory.queues)
    let scratch = StageScratch(workers: pool.threads, columns: matrix.columns, reorders: matrix.inputOrder != nil, in: memory.scratch)
    pool.run(
      ProjectWork(
        product: Product(kernels: kernels.row, input: stage), cut: cut(groups, matrix.rows, step: downStep, in: memory.routed),
        matrix: BorrowedMatrix(matrix), outputs: outputs, scratch: scratch),
      queues: memory.queues)
    withExtendedLifetime(matrix) {}
  }

  package func combine(_ routed: ExpertPass, _ shared: ExpertPass?, into output: FloatRows, adding: Bool) {
    pool.run(
      tasks: output.count,
      CombineWork(kernels: kernels, routed: routed, shared: shared ?? routed, hasShared: shared != nil, output: output, adding: adding))
  }

  private func scratch(columns: Int, for routed: ExpertPass, _ shared: ExpertPass?, step: Int = 0, in memory: StageMemory) -> StageScratch {
    let reorders = routed.bank.reordersColumns || shared?.bank.reordersColumns == true
    return StageScratch(workers: pool.threads, columns: columns, reorders: reorders, step: step, in: memory.scratch)
  }

  private func cut(_ pass: ExpertPass, _ weightRows: Int, step: Int, in memory: InputMemory) -> Pieces {
    cut(RowGroups(pass.plan), weightRows, step: step, in: memory)
  }

  /// Pieces of `step` weight rows; where these are too few for the workers to finish together, parts of an expert's rows.
  private func cut(_ groups: RowGroups, _ weightRows: Int, step: Int, in memory: InputMemory) -> Pieces {
    let whole = groups.count * ((weightRows + step - 1) / step), wanted = 8 * pool.threads
    let parts = (wanted + max(1, whole) - 1) / max(1, whole)
    let part = (groups.rows + parts - 1) / parts
    return Pieces(
      groups, weightRows: weightRows, step: step, part: parts > 1 ? max(1, (part + tokenTile - 1) / tokenTile) * tokenTile : nil, in: memory.pieces)
  }

  /// True when the format is multiplied on int8 activations.
  func takesInt8(_ format: WeightFormat) -> Bool { precision == .int8 && kernels.row.pointee.formats[Int(format.index)].gemm_int8 != nil }
}

/// Weight rows of a piece: whole panels of every format, and whole groups of int8 activations.
private let gateUpStep = 32, downStep = 32

/// The work of the shared expert's pass, where there is one.
private func both<Work>(_ pass: ExpertPass?, _ input: StageInput?, _ work: (ExpertPass, StageInput) -> Work) -> Work? {
  guard let pass, let input else { return nil }
  return work(pass, input)
}
