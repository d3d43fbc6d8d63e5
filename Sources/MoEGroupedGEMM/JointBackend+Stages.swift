// The stages of experts in several places one by one, for callers that compose them: each place has rows of its own.

internal import MoEDispatch
internal import MoEExperts
package import MoEPlacement
package import MoETensors

extension JointBackend {
  func gateUpAlone(_ pass: ExpertPass, _ memory: StageMemory) throws(OpenCLError) {
    try forEachPlace(of: pass) { (backend, part, copy) throws(OpenCLError) in
      try backend.gateUp(part, nil, memory, feedsDown: false)
      copy { pass.activated.part($0).fill(from: part.activated.part($1)) }
    }
  }

  package func down(_ pass: ExpertPass, into outputs: FloatRows, _ memory: StageMemory) throws(OpenCLError) {
    try forEachPlace(of: pass) { (backend, part, copy) throws(OpenCLError) in
      let rows = FloatRows(count: part.plan.rows, columns: outputs.columns)
      copy { part.activated.part($1).fill(from: pass.activated.part($0)) }
      try backend.down(part, into: rows, memory)
      copy { outputs.part($0).fill(from: rows.part($1)) }
    }
  }

  package func combine(_ pass: ExpertPass, _ outputs: FloatRows, into output: FloatRows, adding: Bool) throws(OpenCLError) {
    var isFirst = true
    try forEachPlace(of: pass) { (backend, part, copy) throws(OpenCLError) in
      let rows = FloatRows(count: part.plan.rows, columns: outputs.columns)
      copy { rows.part($1).fill(from: outputs.part($0)) }
      if isFirst {
        host.combine(part, rows, into: output, adding: adding)
      } else {
        let sums = FloatRows(count: output.count, columns: output.columns)
        try backend.combine(part, rows, into: sums, adding: false)
        host.add(sums, of: part.plan, to: output)
      }
      isFirst = false
    }
  }

  /// Calls `body` for the CPU and each device that has experts, with its backend, its part of `pass` in rows of their own, and a way to see which of
  /// the pass's rows those are: `copy` calls its body for every expert with rows, with the pass's and its own.
  private func forEachPlace(
    of pass: ExpertPass,
    _ body: (_ backend: any GroupedGEMMBackend, _ part: ExpertPass, _ copy: ((Range<Int>, Range<Int>) -> Void) -> Void) throws(OpenCLError) -> Void
  ) throws(OpenCLError) {
    for (backend, part) in zip(places, parts(of: pass)) {
      guard let bank = part.bank else { continue }
      var plan = DispatchPlan()
      plan.take(pass.plan, part, identity: backend is CPUBackend)
      let own = ExpertPass(
        bank, plan, input: pass.input, activated: FloatRows(count: plan.rows, columns: bank.intermediate), in: PassMemory())
      try body(backend, own) { copy in
        for expert in part.experts { copy(pass.plan.rows(of: expert), plan.rows(of: Int(part.numbers[expert]))) }
      }
    }
  }
}

extension FloatRows {
  /// Copies as many rows of the same width.
  fileprivate func fill(from rows: FloatRows) { for index in 0..<count { row(index).update(from: rows.row(index), count: columns) } }
}
