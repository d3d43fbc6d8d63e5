// What the products of one stage read: f32 rows, a list to gather them by, and their int8 form where a kernel takes it.

internal import CMoEKernels
internal import MoEDispatch
internal import MoEExperts
internal import MoEPlacement
internal import MoETensors

/// Rows of a stage in the order of its plan.
struct StageInput {
  let rows: FloatRows
  /// Row of `rows` for each row of the plan; nil for the same.
  let list: [Int32]?
  let quantized: QuantizedRows?
  /// How many rows `InputWork` has to fill before a product reads them.
  let unfilled: Int

  /// What gate and up read: the token of every row of the plan, multiplied by its coefficient where the bank weighs inputs.
  ///
  /// - Parameter other: an input of the same stage, whose int8 rows serve this one too where both read the same rows.
  init(gateUpOf pass: ExpertPass, _ backend: CPUBackend, in memory: InputMemory, beside other: StageInput? = nil) {
    let isWeighted = pass.bank.weightOnInput, isQuantized = backend.takesInt8(pass.bank.gateUpFormats)
    rows = isWeighted ? FloatRows(count: pass.plan.rows, columns: pass.bank.hidden, in: memory.weighted) : pass.input
    list = isWeighted ? nil : pass.plan.tokens
    if isQuantized, let other, other.rows.base == rows.base, let quantized = other.quantized {
      (self.quantized, unfilled) = (quantized, 0)
    } else {
      quantized = isQuantized ? QuantizedRows(count: rows.count, columns: rows.columns, in: memory.quantized) : nil
      unfilled = isWeighted || isQuantized ? rows.count : 0
    }
  }

  /// Rows as they are.
  init(_ rows: FloatRows, isQuantized: Bool, in memory: InputMemory) {
    (self.rows, list) = (rows, nil)
    quantized = isQuantized ? QuantizedRows(count: rows.count, columns: rows.columns, in: memory.quantized) : nil
    unfilled = isQuantized ? rows.count : 0
  }
}

/// Fills the unfilled rows of a stage input, a row a task.
struct InputWork: StageWork {
  let input: StageInput
  let kernels: KernelTable
  /// Rows to multiply by the coefficients of a plan; nil for rows that are there already.
  var source: FloatRows?
  var plan = DispatchPlan()

  init(_ input: StageInput, _ kernels: KernelTable) {
    self.input = input
    self.kernels = kernels
  }

  init(_ input: StageInput, gateUpOf pass: ExpertPass, _ kernels: KernelTable) {
    self.init(input, kernels)
    if pass.bank.weightOnInput { (source, plan) = (pass.input, pass.plan) }
  }

  var tasks: Int { input.unfilled }

  func perform(task row: Int, worker: Int) {
    if let source {
      let values = source.row(Int(plan.tokens[row])), target = input.rows.row(row), weight = plan.weights[row]
      for column in 0..<input.rows.columns { target[column] = weight * values[column] }
    }
    input.quantized?.round(row, of: input.rows, by: kernels)
  }
}

/// Weight rows of one task: whole panels of every format.
let taskRows = 32
/// Rows of activations that meet the weights of a task at once.
let tokenTile = Int(MOE_GEMM_ROWS)

extension CPUBackend {
  /// True when products with this matrix are computed on int8 activations.
  func takesInt8(_ matrix: PackedMatrix) -> Bool { matrix.suitsInt8 && takesInt8(matrix.format) }

  /// True when some of the formats is multiplied on int8 activations.
  func takesInt8(_ formats: [WeightFormat]) -> Bool { formats.contains(where: takesInt8) }

  private func takesInt8(_ format: WeightFormat) -> Bool {
    precision == .int8 && kernels.row.pointee.formats[Int(format.index)].gemm_int8 != nil
  }

  /// out[i][r] = `weightRows` times rows of `tile`, sums in segments of `segment` columns, plus `bias`.
  func multiply(
    _ matrix: PackedMatrix, _ bias: [Float]?, _ weightRows: Range<Int>, _ input: StageInput, _ tile: Range<Int>, segment: Int,
    into out: UnsafeMutablePointer<Float>, stride: Int, _ scratch: WorkerScratch
  ) {
    var weights = matrix.borrowed
    let kernel = kernels.row.pointee.formats[Int(matrix.format.index)]
    let first = Int64(weightRows.lowerBound), last = Int64(weightRows.upperBound), count = Int64(tile.count)
    func run(_ list: UnsafePointer<Int32>?) {
      let start = list == nil ? tile.lowerBound : 0
      if takesInt8(matrix), var rows = input.quantized?.borrowed {
        rows.codes += start * matrix.columns
        rows.scales += start * matrix.columns / 32
        rows.sums += start * matrix.columns / 32
        kernel.gemm_int8(&weights, first, last, &rows, list, count, Int64(segment), out, Int64(stride), scratch.gemm)
      } else if let order = matrix.inputOrder {
        reorder(input, tile, order, into: scratch.inputs)
        kernel.gemm(
          &weights, first, last, scratch.inputs, Int64(matrix.columns), nil, count, Int64(segment), out, Int64(stride), scratch.gemm)
      } else {
        kernel.gemm(
          &weights, first, last, input.rows.row(start), Int64(input.rows.stride), list, count, Int64(segment), out, Int64(stride),
          scratch.gemm)
      }
    }
    if let list = input.list { list.withUnsafeBufferPointer { run($0.baseAddress! + tile.lowerBound) } } else { run(nil) }
    guard let bias else { return }
    bias.withUnsafeBufferPointer { bias in
      for index in 0..<tile.count {
        let row = out + index * stride
        kernels.combine(bias.baseAddress! + weightRows.lowerBound, startingFrom: row, weightRows.count, into: row)
      }
    }
  }

  /// Copies the rows of a tile with columns in the order of the matrix.
  private func reorder(_ input: StageInput, _ tile: Range<Int>, _ order: [Int32], into target: UnsafeMutablePointer<Float>) {
    for (index, row) in tile.enumerated() {
      let source = input.rows.row(input.list.map { Int($0[row]) } ?? row), out = target + index * order.count
      for column in order.indices { out[column] = source[Int(order[column])] }
    }
  }
}

extension PackedMatrix {
  /// Columns of one summation segment of a down projection: a constant of the layer, at most 8 segments, each of whole runs of 256
  /// columns, which hold whole blocks of every format.
  package var segment: Int { max(1, ((columns + 7) / 8 + 255) / 256) * 256 }
}
