// The tasks of each product on the CPU, by expert and weight rows.

internal import MoEDispatch
internal import MoEExperts
internal import MoEPlacement
internal import MoETensors

/// Parallel work that knows how many tasks it is.
protocol StageWork: ParallelWork {
  var tasks: Int { get }
}

/// Two works as one list of tasks, without a barrier between them.
private struct InTurn<Work: StageWork>: ParallelWork {
  let first: UnsafePointer<Work>, firstTasks: Int, second: UnsafePointer<Work>

  func perform(task: Int, worker: Int) {
    if task < firstTasks {
      perform(first, task: task, worker: worker)
    } else {
      perform(second, task: task - firstTasks, worker: worker)
    }
  }

  /// Not `Copyable`: a work that may be copied would be, references and all, for every task.
  private func perform<Borrowed: ParallelWork & ~Copyable>(_ work: UnsafePointer<Borrowed>, task: Int, worker: Int) {
    work.pointee.perform(task: task, worker: worker)
  }
}

extension WorkerPool {
  /// Performs all tasks of both; the shared expert's, which have the most rows each, begin first.
  func run<Work: StageWork>(_ shared: Work?, _ routed: Work) {
    guard let shared else { return run(tasks: routed.tasks, routed) }
    let tasks = shared.tasks
    withUnsafePointer(to: shared) { first in
      withUnsafePointer(to: routed) { second in
        run(tasks: tasks + second.pointee.tasks, InTurn(first: first, firstTasks: tasks, second: second))
      }
    }
  }
}

/// Tasks that some weight rows are cut into.
private func cuts(_ rows: Int) -> Int { (rows + taskRows - 1) / taskRows }

/// Some of the weight rows of one expert, and all its rows of the plan.
private struct RowsTask {
  let expert: Int
  let weightRows: Range<Int>
  private let group: Range<Int>

  init(_ task: Int, _ plan: DispatchPlan, rows: Int) {
    let cuts = cuts(rows), first = task % cuts * taskRows
    expert = Int(plan.activeExperts[task / cuts])
    weightRows = first..<min(first + taskRows, rows)
    group = plan.rows(of: expert)
  }

  init(_ task: Int, everyRow count: Int, rows: Int) {
    expert = 0
    weightRows = task * taskRows..<min((task + 1) * taskRows, rows)
    group = 0..<count
  }

  func forEachTile(_ body: (Range<Int>) -> Void) {
    for start in stride(from: group.lowerBound, to: group.upperBound, by: tokenTile) { body(start..<min(start + tokenTile, group.upperBound)) }
  }
}

/// act(gate x) * up x, some of the intermediate rows of one expert a task.
struct GateUpWork: StageWork {
  let backend: CPUBackend, pass: ExpertPass, input: StageInput, scratch: StageScratch

  var tasks: Int { pass.plan.activeExperts.count * cuts(pass.bank.intermediate) }

  func perform(task: Int, worker: Int) {
    let bank = pass.bank, task = RowsTask(task, pass.plan, rows: bank.intermediate), weightRows = task.weightRows, width = weightRows.count
    let scratch = scratch[worker], weights = bank.experts[task.expert]
    task.forEachTile { tile in
      backend.multiply(weights.up, weights.upBias, weightRows, input, tile, segment: bank.hidden, into: scratch.up, stride: width, scratch)
      if let gate = weights.gate {
        backend.multiply(gate, weights.gateBias, weightRows, input, tile, segment: bank.hidden, into: scratch.gate, stride: width, scratch)
      }
      for (index, row) in tile.enumerated() {
        backend.kernels.activate(
          bank.activation, gate: bank.isGated ? scratch.gate + index * width : nil, up: scratch.up + index * width, width,
          into: pass.activated.row(row) + weightRows.lowerBound)
      }
    }
  }
}

/// down a, some of the output rows of one expert a task.
struct DownWork: StageWork {
  let backend: CPUBackend, pass: ExpertPass, input: StageInput, scratch: StageScratch

  var tasks: Int { pass.plan.activeExperts.count * cuts(pass.bank.hidden) }

  func perform(task: Int, worker: Int) {
    let task = RowsTask(task, pass.plan, rows: pass.bank.hidden), weightRows = task.weightRows, weights = pass.bank.experts[task.expert]
    task.forEachTile { tile in
      backend.multiply(
        weights.down, weights.downBias, weightRows, input, tile, segment: weights.down.segment,
        into: pass.outputs.row(tile.lowerBound) + weightRows.lowerBound, stride: pass.outputs.stride, scratch[worker])
    }
  }
}

/// One matrix for every row, some of its rows a task.
struct ProjectWork: StageWork {
  let backend: CPUBackend, matrix: PackedMatrix, input: StageInput, outputs: FloatRows, scratch: StageScratch

  var tasks: Int { input.rows.count > 0 ? cuts(matrix.rows) : 0 }

  func perform(task: Int, worker: Int) {
    let task = RowsTask(task, everyRow: input.rows.count, rows: matrix.rows), weightRows = task.weightRows
    task.forEachTile { tile in
      backend.multiply(
        matrix, nil, weightRows, input, tile, segment: matrix.columns, into: outputs.row(tile.lowerBound) + weightRows.lowerBound,
        stride: outputs.stride, scratch[worker])
    }
  }
}
