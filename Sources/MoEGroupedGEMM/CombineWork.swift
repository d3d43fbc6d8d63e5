// The combine on the CPU, alone: sums of each token's rows, a token a task.

internal import CMoEKernels
internal import MoEDispatch
internal import MoEExperts
internal import MoEPlacement
internal import MoETensors

/// Sums of the rows of each token by their coefficients, in order of expert, then of its identity experts.
struct CombineWork: ParallelWork {
  let kernels: KernelTable, pass: ExpertPass, outputs: FloatRows, output: FloatRows, adding: Bool

  func perform(task token: Int, worker: Int) {
    let target = output.row(token), bank = pass.bank, plan = pass.plan
    let rows = plan.rowOffsets[token]..<plan.rowOffsets[token + 1]
    plan.rowOf.withUnsafeBufferPointer { rowOf in
      plan.weights.withUnsafeBufferPointer { weights in
        kernels.combine(
          outputs.base, stride: outputs.stride, rows: UnsafeBufferPointer(rebasing: rowOf[rows]),
          weights: bank.weightOnInput ? nil : weights.baseAddress, scale: bank.outputScale, startingFrom: adding ? target : nil, output.columns,
          into: target)
      }
    }
    if !plan.identityWeights.isEmpty, plan.identityWeights[token] != 0 {
      kernels.combine(pass.input.row(token), scale: plan.identityWeights[token], startingFrom: target, output.columns, into: target)
    }
  }
}

/// Adds the sums that a device made of the rows of a plan, to the tokens that have some.
struct AddWork: ParallelWork {
  let kernels: KernelTable, plan: DispatchPlan, sums: FloatRows, output: FloatRows

  func perform(task token: Int, worker: Int) {
    guard plan.rowOffsets[token] < plan.rowOffsets[token + 1] else { return }
    kernels.combine(sums.row(token), startingFrom: output.row(token), output.columns, into: output.row(token))
  }
}

extension KernelTable {
  /// y = start (zeros for nil) + the sum of `rows` of x by `weights[row] * scale`, nil weights being ones.
  fileprivate func combine(
    _ x: UnsafePointer<Float>, stride: Int, rows: UnsafeBufferPointer<Int>, weights: UnsafePointer<Float>?, scale: Float,
    startingFrom start: UnsafePointer<Float>?, _ count: Int, into y: UnsafeMutablePointer<Float>
  ) {
    rows.withMemoryRebound(to: Int64.self) {
      row.pointee.combine(x, Int64(stride), $0.baseAddress, weights, scale, Int64($0.count), start, Int64(count), y)
    }
  }

  /// y = start + scale * x, one row.
  func combine(
    _ x: UnsafePointer<Float>, scale: Float = 1, startingFrom start: UnsafePointer<Float>, _ count: Int, into y: UnsafeMutablePointer<Float>
  ) {
    row.pointee.combine(x, 0, nil, nil, scale, 1, start, Int64(count), y)
  }
}
