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

  package func precision(of bank: ExpertBank) -> ActivationPrecision {
    bank.gateUpFormats.contains(where: rounds) || bank.downFormats.contains(where: rounds) ? precision : .float
  }

  package func gateUp(_ routed: ExpertPass, _ shared: ExpertPass?, _ memory: StageMemory, feedsDown: Bool) {
    let input = StageInput(gateUpOf: routed, self), sharedInput = shared.map { StageInput(gateUpOf: $0, self) }
    pool.run(
      both(shared, sharedInput) { InputWork($1, gateUpOf: $0) }, InputWork(input, gateUpOf: routed), queues: memory.queues)
    let scratch = scratch(routed, shared, columns: \.hidden, step: gateUpStep, in: memory)
    func work(_ pass: ExpertPass, _ input: StageInput) -> GateUpWork {
      GateUpWork(
        product: Product(kernels: kernels.row, input: input), cut: cut(pass, pass.bank.intermediate, step: gateUpStep, \.gateUp),
        experts: pass.bank.borrowed.table, activation: pass.bank.activation.borrowed, isGated: pass.bank.isGated, hidden: pass.bank.hidden,
        activated: pass.activated, rounded: feedsDown ? StageInput(downOf: pass, self).rounded : nil, scratch: scratch)
    }
    pool.run(both(shared, sharedInput, work), work(routed, input), queues: memory.queues)
    withExtendedLifetime((routed, shared)) {}
  }

  package func downCombined(_ routed: ExpertPass, _ shared: ExpertPass?, into output: FloatRows, adding: Bool, _ memory: StageMemory) {
    let scratch = scratch(routed, shared, columns: \.intermediate, step: stripStep, in: memory)
    if suitsStrips(routed, shared, output.columns) {
      func part(_ pass: ExpertPass) -> StripPart { StripPart(pass, StageInput(downOf: pass, self), kernels.row) }
      let cut = Pieces(
        RowGroups(everyRow: 1), weightRows: output.columns, step: stripStep, dividedBy: routed.bank.nodes?.down, in: routed.memory.pieces)
      pool.run(
        StripWork(routed: part(routed), shared: shared.map(part), output: output, adding: adding, cut: cut, scratch: scratch),
        queues: memory.queues)
    } else {
      pool.run(shared.map { work($0, into: $0.outputs, scratch) }, work(routed, into: routed.outputs, scratch), queues: memory.queues)
      combine(routed, routed.outputs, into: output, adding: adding)
      if let shared { combine(shared, shared.outputs, into: output, adding: true) }
    }
    withExtendedLifetime((routed, shared)) {}
  }

  package func down(_ pass: ExpertPass, into outputs: FloatRows, _ memory: StageMemory) {
    pool.run(InputWork(StageInput(downOf: pass, self), RowGroups(pass.plan), in: pass.memory.pieces), queues: memory.queues)
    pool.run(work(pass, into: outputs, scratch(pass, nil, columns: \.intermediate, in: memory)), queues: memory.queues)
    withExtendedLifetime(pass) {}
  }

  private func work(_ pass: ExpertPass, into outputs: FloatRows, _ scratch: StageScratch) -> DownWork {
    DownWork(
      product: Product(kernels: kernels.row, input: StageInput(downOf: pass, self)), cut: cut(pass, pass.bank.hidden, step: downStep, \.down),
      experts: pass.bank.borrowed.table, outputs: outputs, scratch: scratch)
  }

  package func combine(_ pass: ExpertPass, _ outputs: FloatRows, into output: FloatRows, adding: Bool) {
    pool.run(tasks: output.count, CombineWork(kernels: kernels, pass: pass, outputs: outputs, output: output, adding: adding))
  }

  /// output[token] += sums[token] for the tokens with rows in `plan`.
  package func add(_ sums: FloatRows, of plan: DispatchPlan, to output: FloatRows) {
    pool.run(tasks: output.count, AddWork(kernels: kernels, plan: plan, sums: sums, output: output))
  }

  package func project(_ matrix: PackedMatrix, _ input: FloatRows, into outputs: FloatRows, _ memory: StageMemory) {
    let stage = StageInput(input, for: matrix, self, in: memory.projection), groups = RowGroups(everyRow: input.count)
    pool.run(InputWork(stage, groups, in: memory.projection.pieces), queues: memory.queues)
    let scratch = StageScratch(workers: pool.threads, columns: matrix.columns, reorders: matrix.inputOrder != nil, in: memory.scratch)
    pool.run(
      ProjectWork(
        product: Product(kernels: kernels.row, input: stage), cut: cut(groups, matrix.rows, step: downStep, in: memory.projection),
        matrix: BorrowedMatrix(matrix), outputs: outputs, scratch: scratch),
      queues: memory.queues)
    withExtendedLifetime(matrix) {}
  }

  /// True where an expert has rows enough that reading its weights in one go matters less than writing and reading the rows behind down, a
  /// thread strips enough for all to finish together, and a strip of all experts one home.
  private func suitsStrips(_ routed: ExpertPass, _ shared: ExpertPass?, _ columns: Int) -> Bool {
    let plan = routed.plan, others = shared?.bank.nodes, hasOneHome = routed.bank.nodes?.hasOneHome(with: others) ?? (others == nil)
    return hasOneHome && plan.rows >= 16 * plan.activeExperts.count && (pool.threads == 1 || columns >= 4 * stripStep * pool.threads)
  }

  /// - Parameter columns: width of a bank's rows that meet its weights.
  private func scratch(
    _ routed: ExpertPass, _ shared: ExpertPass?, columns: KeyPath<ExpertBank, Int>, step: Int = 0, in memory: StageMemory
  ) -> StageScratch {
    StageScratch(
      workers: pool.threads, columns: max(routed.bank[keyPath: columns], shared?.bank[keyPath: columns] ?? 0),
      reorders: routed.bank.reordersColumns || shared?.bank.reordersColumns == true, step: step, in: memory.scratch)
  }

  private func cut(_ pass: ExpertPass, _ weightRows: Int, step: Int, _ division: (BankNodes) -> RowDivision) -> Pieces {
    cut(RowGroups(pass.plan), weightRows, step: step, dividedBy: pass.bank.nodes.map(division), in: pass.memory)
  }

  private func cut(_ groups: RowGroups, _ weightRows: Int, step: Int, dividedBy division: RowDivision? = nil, in memory: PassMemory) -> Pieces {
    let whole = groups.count * ((weightRows + step - 1) / step), wanted = 8 * pool.threads
    let parts = (wanted + max(1, whole) - 1) / max(1, whole)
    let part = (groups.rows + parts - 1) / parts
    return Pieces(
      groups, weightRows: weightRows, step: step, part: parts > 1 ? max(1, (part + tokenTile - 1) / tokenTile) * tokenTile : nil,
      dividedBy: division, in: memory.pieces)
  }

  /// True when the format is multiplied on rounded activations.
  func rounds(_ format: WeightFormat) -> Bool { precision != .float && kernels.arithmetic(format, on: precision) != nil }
}

/// Weight rows of a piece: whole panels of every format, and whole groups of rounded activations.
private let gateUpStep = 32, downStep = 32

/// Output columns of a strip: see `StripWork`.
private let stripStep = 128

/// The work of the shared expert's pass, where there is one.
private func both<Work>(_ pass: ExpertPass?, _ input: StageInput?, _ work: (ExpertPass, StageInput) -> Work) -> Work? {
  guard let pass, let input else { return nil }
  return work(pass, input)
}
