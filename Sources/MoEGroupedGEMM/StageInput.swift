// What the products of one stage read: f32 rows, a list to gather them by, and their int8 form where a kernel takes it.

internal import CMoEKernels
internal import MoEDispatch
internal import MoEExperts
internal import MoETensors

/// Rows of a stage in the order of its plan.
struct StageInput {
  let rows: FloatRows
  /// Row of `rows` for each row of the plan; nil for the same.
  let list: [Int32]?
  let quantized: QuantizedRows?

  /// The token of every row of `plan`; multiplied by its coefficient where the bank weighs inputs.
  init(_ hidden: FloatRows, _ plan: DispatchPlan, for bank: ExpertBank, _ backend: CPUBackend) {
    if bank.weightOnInput {
      let scaled = FloatRows(count: plan.rows, columns: hidden.columns)
      backend.forEach(plan.rows) { row in
        let source = hidden.row(Int(plan.tokens[row])), target = scaled.row(row)
        for column in 0..<hidden.columns { target[column] = plan.weights[row] * source[column] }
      }
      (rows, list) = (scaled, nil)
    } else {
      (rows, list) = (hidden, plan.tokens)
    }
    let needed = bank.experts.contains { backend.takesInt8($0.up) || $0.gate.map(backend.takesInt8) == true }
    quantized = needed ? QuantizedRows(rows, by: backend) : nil
  }

  /// Rows as they are, for products with `matrices`.
  init(_ rows: FloatRows, for matrices: some Sequence<PackedMatrix>, _ backend: CPUBackend) {
    (self.rows, list) = (rows, nil)
    quantized = matrices.contains(where: backend.takesInt8) ? QuantizedRows(rows, by: backend) : nil
  }
}

/// Rows of one weight panel: the unit of work division.
let panelRows = 32
/// Rows of activations that meet a panel at once; an unpacked panel serves all of them.
let tokenTile = Int(MOE_GEMM_ROWS)

/// Memory of one worker for one stage.
struct WorkerScratch {
  let gemm: UnsafeMutablePointer<Float>
  let inputs: UnsafeMutablePointer<Float>
  let gate: UnsafeMutablePointer<Float>
  let up: UnsafeMutablePointer<Float>
}

/// Scratch of every worker, in one allocation.
final class StageScratch: Sendable {
  private let buffer: AlignedBuffer
  private let gemm: Int, inputs: Int, each: Int

  /// - Parameter reorders: true when some matrix wants its input columns in another order.
  init(workers: Int, columns: Int, reorders: Bool) {
    gemm = Int(moe_gemm_scratch())
    inputs = reorders ? tokenTile * columns : 0
    each = (gemm + inputs + 2 * tokenTile * panelRows + 15) / 16 * 16
    buffer = AlignedBuffer(byteCount: workers * each * MemoryLayout<Float>.size)
  }

  subscript(worker: Int) -> WorkerScratch {
    let base = buffer.bytes.baseAddress!.assumingMemoryBound(to: Float.self) + worker * each
    return WorkerScratch(gemm: base, inputs: base + gemm, gate: base + gemm + inputs, up: base + gemm + inputs + tokenTile * panelRows)
  }
}

extension CPUBackend {
  /// True when products with this matrix are computed on int8 activations.
  func takesInt8(_ matrix: PackedMatrix) -> Bool {
    precision == .int8 && matrix.suitsInt8 && kernels.row.pointee.formats[Int(matrix.format.index)].gemm_int8 != nil
  }

  /// out[i][r] = rows of `panel` times rows of `tile`, sums in segments of `segment` columns, plus `bias`.
  func multiply(
    _ matrix: PackedMatrix, _ bias: [Float]?, _ panel: Range<Int>, _ input: StageInput, _ tile: Range<Int>, segment: Int,
    into out: UnsafeMutablePointer<Float>, stride: Int, _ scratch: WorkerScratch
  ) {
    var weights = matrix.borrowed
    let kernel = kernels.row.pointee.formats[Int(matrix.format.index)]
    let first = Int64(panel.lowerBound), last = Int64(panel.upperBound), count = Int64(tile.count)
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
        kernels.row.pointee.accumulate(1, bias.baseAddress! + panel.lowerBound, Int64(panel.count), out + index * stride)
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
