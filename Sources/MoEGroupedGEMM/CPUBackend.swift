// The CPU backend: kernels of one ISA, driven by a pool of threads.

internal import CMoEKernels
package import MoEDispatch
package import MoEExperts
public import MoEPlacement
public import MoETensors

/// Grouped GEMM on the CPU. Results are the same bits for every number of threads and every batch.
public struct CPUBackend: Sendable {
  public let kernels: KernelTable
  public let pool: WorkerPool

  public init(kernels: KernelTable = .best, pool: WorkerPool) {
    self.kernels = kernels
    self.pool = pool
  }
}

/// Rows of one weight panel: the unit of work division.
private let panelRows = 32
/// Tokens that meet a panel at once; a decoded row serves all of them.
private let tokenTile = 64

/// Memory of one worker for one stage.
private struct WorkerScratch {
  let gemm: UnsafeMutablePointer<Float>
  let inputs: UnsafeMutablePointer<Float>
  let first: UnsafeMutablePointer<Float>
  let second: UnsafeMutablePointer<Float>
}

/// Scratch of every worker, in one allocation.
private final class StageScratch: Sendable {
  private let buffer: AlignedBuffer
  private let gemm: Int, inputs: Int, each: Int

  init(workers: Int, columns: Int, gathers: Bool) {
    gemm = Int(moe_gemm_scratch(Int64(columns)))
    inputs = gathers ? tokenTile * columns : 0
    each = (gemm + inputs + 2 * tokenTile * panelRows + 15) / 16 * 16
    buffer = AlignedBuffer(byteCount: workers * each * MemoryLayout<Float>.size)
  }

  subscript(worker: Int) -> WorkerScratch {
    let base = buffer.bytes.baseAddress!.assumingMemoryBound(to: Float.self) + worker * each
    return WorkerScratch(
      gemm: base, inputs: base + gemm, first: base + gemm + inputs, second: base + gemm + inputs + tokenTile * panelRows)
  }
}

extension CPUBackend: GroupedGEMMBackend {
  package var name: String { "cpu" }

  package func gateUp(_ bank: ExpertBank, _ plan: DispatchPlan, _ hidden: FloatRows, into activated: FloatRows) {
    let gathers = bank.weightOnInput || bank.experts.contains { $0.up.inputOrder != nil || $0.gate?.inputOrder != nil }
    let scratch = StageScratch(workers: pool.threads, columns: bank.hidden, gathers: gathers)
    forEachPanel(plan, rows: bank.intermediate) { expert, panel, tile, worker in
      let scratch = scratch[worker], weights = bank.experts[expert], width = panel.count
      let factors = bank.weightOnInput ? plan.weights : nil
      func product(_ matrix: PackedMatrix, _ bias: [Float]?, _ out: UnsafeMutablePointer<Float>) {
        plan.tokens.withUnsafeBufferPointer { tokens in
          let rows = tokens.baseAddress! + tile.lowerBound
          if factors != nil || matrix.inputOrder != nil {
            gather(hidden, rows, factors, tile, matrix.inputOrder, into: scratch.inputs)
            multiply(matrix, panel, scratch.inputs, matrix.columns, nil, tile.count, matrix.columns, out, width, scratch.gemm)
          } else {
            multiply(matrix, panel, hidden.base, hidden.stride, rows, tile.count, matrix.columns, out, width, scratch.gemm)
          }
        }
        add(bias, panel, tile.count, out, width)
      }
      product(weights.up, weights.upBias, scratch.second)
      if let gate = weights.gate { product(gate, weights.gateBias, scratch.first) }
      for index in 0..<tile.count {
        kernels.activate(
          bank.activation, gate: weights.gate == nil ? nil : scratch.first + index * width, up: scratch.second + index * width, width,
          into: activated.row(tile.lowerBound + index) + panel.lowerBound)
      }
    }
  }

  package func down(_ bank: ExpertBank, _ plan: DispatchPlan, _ activated: FloatRows, into outputs: FloatRows) {
    let gathers = bank.experts.contains { $0.down.inputOrder != nil }
    let scratch = StageScratch(workers: pool.threads, columns: bank.intermediate, gathers: gathers)
    forEachPanel(plan, rows: bank.hidden) { expert, panel, tile, worker in
      let scratch = scratch[worker], matrix = bank.experts[expert].down
      let out = outputs.row(tile.lowerBound) + panel.lowerBound
      var input = activated.row(tile.lowerBound), stride = activated.stride
      if let order = matrix.inputOrder {
        gather(activated, nil, nil, tile, order, into: scratch.inputs)
        (input, stride) = (scratch.inputs, matrix.columns)
      }
      multiply(matrix, panel, input, stride, nil, tile.count, matrix.segment, out, outputs.stride, scratch.gemm)
      add(bank.experts[expert].downBias, panel, tile.count, out, outputs.stride)
    }
  }

  package func project(_ matrix: PackedMatrix, _ input: FloatRows, into outputs: FloatRows) {
    let scratch = StageScratch(workers: pool.threads, columns: matrix.columns, gathers: matrix.inputOrder != nil)
    let plan = DispatchPlan(everyToken: [Float](repeating: 1, count: input.count))
    forEachPanel(plan, rows: matrix.rows) { _, panel, tile, worker in
      let scratch = scratch[worker]
      var rows = input.row(tile.lowerBound), stride = input.stride
      if let order = matrix.inputOrder {
        gather(input, nil, nil, tile, order, into: scratch.inputs)
        (rows, stride) = (scratch.inputs, matrix.columns)
      }
      multiply(
        matrix, panel, rows, stride, nil, tile.count, matrix.columns, outputs.row(tile.lowerBound) + panel.lowerBound, outputs.stride,
        scratch.gemm)
    }
  }

  package func combine(
    _ bank: ExpertBank, _ plan: DispatchPlan, _ outputs: FloatRows, hidden: FloatRows, into output: FloatRows, adding: Bool
  ) {
    let accumulate = kernels.row.pointee.accumulate!
    pool.run(tasks: plan.tokenCount) { token, _ in
      let target = output.row(token)
      if !adding { target.update(repeating: 0, count: output.columns) }
      for index in plan.rowOffsets[token]..<plan.rowOffsets[token + 1] {
        let row = plan.rowOf[index]
        let weight = bank.weightOnInput ? 1 : plan.weights[row]
        accumulate(weight * bank.outputScale, outputs.row(row), Int64(output.columns), target)
      }
      if !plan.identityWeights.isEmpty, plan.identityWeights[token] != 0 {
        accumulate(plan.identityWeights[token], hidden.row(token), Int64(output.columns), target)
      }
    }
  }

  package func forEach(_ count: Int, _ body: (Int) -> Void) { pool.run(tasks: count) { task, _ in body(task) } }

  /// Runs `body` for every (expert with rows, weight panel, token tile), tiles of a panel in one task.
  private func forEachPanel(_ plan: DispatchPlan, rows: Int, _ body: (_ expert: Int, _ panel: Range<Int>, _ tile: Range<Int>, _ worker: Int) -> Void) {
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

  private func multiply(
    _ matrix: PackedMatrix, _ panel: Range<Int>, _ input: UnsafePointer<Float>, _ inputStride: Int, _ rows: UnsafePointer<Int32>?,
    _ count: Int, _ segment: Int, _ out: UnsafeMutablePointer<Float>, _ outStride: Int, _ scratch: UnsafeMutablePointer<Float>
  ) {
    var weights = matrix.borrowed
    kernels.row.pointee.formats[Int(matrix.format.index)].gemm(
      &weights, Int64(panel.lowerBound), Int64(panel.upperBound), input, Int64(inputStride), rows, Int64(count), Int64(segment), out,
      Int64(outStride), scratch)
  }

  /// Copies rows of a tile, scaled by their coefficient and with columns in the matrix's order.
  private func gather(
    _ source: FloatRows, _ tokens: UnsafePointer<Int32>?, _ factors: [Float]?, _ tile: Range<Int>, _ order: [Int32]?,
    into target: UnsafeMutablePointer<Float>
  ) {
    for index in 0..<tile.count {
      let row = source.row(tokens.map { Int($0[index]) } ?? tile.lowerBound + index), out = target + index * source.columns
      let factor = factors?[tile.lowerBound + index] ?? 1
      for column in 0..<source.columns { out[column] = factor * row[order.map { Int($0[column]) } ?? column] }
    }
  }

  private func add(_ bias: [Float]?, _ panel: Range<Int>, _ count: Int, _ out: UnsafeMutablePointer<Float>, _ stride: Int) {
    guard let bias else { return }
    bias.withUnsafeBufferPointer { bias in
      for index in 0..<count {
        kernels.row.pointee.accumulate(1, bias.baseAddress! + panel.lowerBound, Int64(panel.count), out + index * stride)
      }
    }
  }
}

extension PackedMatrix {
  /// Columns of one summation segment of a down projection: a constant of layer and format, at most 8 segments.
  package var segment: Int {
    let unit = max(16, format.blockValues)
    return ((columns + 7) / 8 + unit - 1) / unit * unit
  }
}

extension KernelTable {
  /// The nonlinearity of one row; gate nil for ungated experts.
  func activate(
    _ activation: ExpertActivation, gate: UnsafePointer<Float>?, up: UnsafePointer<Float>, _ count: Int, into out: UnsafeMutablePointer<Float>
  ) {
    row.pointee.activate(activation.borrowed, gate, up, Int64(count), out)
  }
}
