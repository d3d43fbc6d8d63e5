// The cut of a stage into pieces: every row meets every weight row of its expert once, on a node that has it.

import MoE
import MoEGroupedGEMM
import MoEReference
import Testing

@Suite struct PiecesTests {
  @Test func everyRowMeetsEveryWeightRowOnceAtHome() throws {
    var random = SeededRandom(seed: 31)
    let nodes = 4, machine = "any", memory = GrowableBuffer()
    for _ in 0..<300 {
      let experts = Int.random(in: 1...6, using: &random), weightRows = Int.random(in: 1...300, using: &random)
      let step = 32 * Int.random(in: 1...4, using: &random), part = [nil, tokenTile, 2 * tokenTile].randomElement(using: &random)!
      let ids = (0..<Int.random(in: 0...200, using: &random)).map { _ in Int32.random(in: 0..<Int32(experts), using: &random) }
      let plan = DispatchPlan(
        try RouterOutput(experts: experts, topK: 1, expertIDs: ids, weights: .init(repeating: 1, count: ids.count)), experts: experts)
      let homes = (0..<experts).map { _ in
        let copies = (0..<nodes).filter { _ in Bool.random(using: &random) }
        return [.split, .interleaved, .nodes(copies.isEmpty ? [2] : copies)].randomElement(using: &random)! as Placement.Home
      }
      let placement = Placement(
        strategy: .split, nodes: Array(0..<nodes), shares: (0..<nodes).map { _ in .random(in: 1...9, using: &random) }, experts: homes, machine: machine)
      let bank = BankNodes(
        placement, homes, map: NodeMap(cpus: (0..<nodes).map { [$0] }, threads: 3), intermediate: weightRows, hidden: weightRows)
      for division in [nil, bank.gateUp, bank.down] {
        let pieces = Pieces(RowGroups(plan), weightRows: weightRows, step: step, part: part, dividedBy: division, in: memory)
        var met = [Int](repeating: 0, count: plan.rows * weightRows), isSound = true
        for index in 0..<pieces.count {
          let piece = pieces[index], rows = plan.rows(of: piece.expert)
          let own = division?.rows(of: piece.expert, on: piece.home) ?? 0..<weightRows
          isSound = isSound && !piece.rows.isEmpty && rows.contains(piece.rows) && (piece.rows.lowerBound - rows.lowerBound) % tokenTile == 0
          isSound = isSound && !piece.weightRows.isEmpty && piece.weightRows.count <= step && own.contains(piece.weightRows)
          isSound = isSound && piece.weightRows.lowerBound % Placement.rowStep == 0 && piece.rows.count <= part ?? plan.rows
          if case .nodes(let copies) = homes[piece.expert], division != nil { isSound = isSound && copies.contains(piece.home) }
          if division != nil { isSound = isSound && pieces.pieces(of: piece.home).contains(index) }
          for row in piece.rows { for weightRow in piece.weightRows { met[row * weightRows + weightRow] += 1 } }
        }
        #expect(isSound && met.allSatisfy { $0 == 1 }, "\(placement), \(weightRows) weight rows, steps of \(step), \(ids.count) rows")
        if division != nil { #expect((0..<nodes).reduce(0) { $0 + pieces.pieces(of: $1).count } == pieces.count) }
      }
      withExtendedLifetime((plan, bank)) {}
    }
  }
}
