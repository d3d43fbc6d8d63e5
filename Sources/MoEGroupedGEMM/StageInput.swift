// What the products of one stage read: f32 rows, a list to gather them by, and their rounded form where a kernel takes it.

internal import CMoEKernels
internal import MoEDispatch
internal import MoEExperts
internal import MoETensors

/// Rows of a stage in the order of its plan; valid while the plan lives.
struct StageInput {
  let rows: FloatRows
  /// Row of `rows` for each row of the plan; nil for the same.
  let list: UnsafePointer<Int32>?
  let rounded: RoundedRows?

  /// What gate and up read: the token of every row of the plan, multiplied by its coefficient where the bank weighs inputs.
  init(gateUpOf pass: ExpertPass, _ backend: CPUBackend) {
    let bank = pass.bank, plan = pass.plan, memory = pass.memory
    rows = bank.weightOnInput ? FloatRows(count: plan.rows, columns: bank.hidden, in: memory.weighted) : pass.input
    list = bank.weightOnInput ? nil : plan.tokens.withUnsafeBufferPointer { $0.baseAddress }
    rounded = RoundedRows(
      bank.gateUpFormats, by: backend, rows: plan.rows, columns: bank.hidden, isOneRow: plan.tokenCount == 1 && !bank.weightOnInput,
      in: memory.rounded)
  }

  /// What down reads.
  init(downOf pass: ExpertPass, _ backend: CPUBackend) {
    (rows, list) = (pass.activated, nil)
    rounded = RoundedRows(
      pass.bank.downFormats, by: backend, rows: pass.plan.rows, columns: pass.bank.intermediate, in: pass.memory.activated)
  }

  /// Rows as they are, for one matrix.
  init(_ rows: FloatRows, for matrix: PackedMatrix, _ backend: CPUBackend, in memory: PassMemory) {
    (self.rows, list) = (rows, nil)
    rounded = matrix.suitsRounded ? RoundedRows([matrix.format], by: backend, rows: rows.count, columns: rows.columns, in: memory.rounded) : nil
  }
}

/// Fills what a stage input has no values for yet: rows times their coefficients, rows rounded.
struct InputWork: PieceWork {
  private let input: StageInput
  private var cut: Pieces?
  /// Rows to multiply by the coefficients of a plan, and their tokens; nil for rows that are there already.
  private var source: FloatRows?
  private var tokens: UnsafePointer<Int32>?, weights: UnsafePointer<Float>?

  /// Rounds the rows that `input` takes from `groups`.
  init(_ input: StageInput, _ groups: RowGroups, in memory: GrowableBuffer) {
    self.input = input
    cut = input.rounded == nil ? nil : Pieces(groups, weightRows: 1, step: 1, part: tokenTile, in: memory)
  }

  /// Prepares what gate and up of a pass read.
  init(_ input: StageInput, gateUpOf pass: ExpertPass) {
    let plan = pass.plan, memory = pass.memory.pieces
    // The experts of one token read the same row.
    self.init(input, plan.tokenCount == 1 && !pass.bank.weightOnInput ? RowGroups(everyRow: min(1, plan.rows)) : RowGroups(plan), in: memory)
    guard pass.bank.weightOnInput else { return }
    cut = Pieces(RowGroups(plan), weightRows: 1, step: 1, part: tokenTile, in: memory)
    source = pass.input
    tokens = plan.tokens.withUnsafeBufferPointer { $0.baseAddress }
    weights = plan.weights.withUnsafeBufferPointer { $0.baseAddress }
  }

  var pieces: Int { cut?.count ?? 0 }

  func perform(piece: Int, worker: Int, node: Int) {
    let tile = cut.unsafelyUnwrapped[piece].rows
    if let source, let tokens, let weights {
      for row in tile {
        let values = source.row(Int(tokens[row])), target = input.rows.row(row), weight = weights[row]
        for column in 0..<input.rows.columns { target[column] = weight * values[column] }
      }
    }
    guard let rounded = input.rounded else { return }
    let list = input.list
    rounded.round(
      tile, from: list == nil ? input.rows.row(tile.lowerBound) : input.rows.base, stride: input.rows.stride, list: list.map { $0 + tile.lowerBound })
  }
}
