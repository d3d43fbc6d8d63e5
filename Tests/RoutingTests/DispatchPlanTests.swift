// The plan: every assignment once, sorted by expert, with a way back.

import MoEDispatch
import MoEReference
import MoERouting
import Testing

@Suite struct DispatchPlanTests {
  /// Offsets, order, uniqueness and the way back of a plan of `routing`.
  private func check(_ plan: DispatchPlan, _ routing: RouterOutput, experts: Int) {
    #expect(plan.offsets.count == experts + 1 && plan.experts == experts && plan.offsets.first == 0 && plan.offsets.last == plan.rows)
    #expect(zip(plan.offsets, plan.offsets.dropFirst()).allSatisfy { $0 <= $1 })
    #expect(plan.weights.count == plan.rows && plan.slots.count == plan.rows && plan.rowOf.count == plan.rows)
    #expect(plan.tokenCount == routing.tokens && plan.rowOffsets.count == routing.tokens + 1)
    var pairs: Set<[Int]> = []
    for expert in 0..<experts {
      let tokens = plan.rows(of: expert).map { Int(plan.tokens[$0]) }
      #expect(zip(tokens, tokens.dropFirst()).allSatisfy { $0 < $1 })
      for token in tokens { pairs.insert([token, expert]) }
    }
    #expect(pairs.count == plan.rows)
    #expect(Set(plan.rowOf) == Set(0..<plan.rows))
    for token in 0..<routing.tokens {
      let real = routing.assignments(of: token).enumerated().filter { $0.element.expert < experts }.sorted { $0.element.expert < $1.element.expert }
      let rows = plan.rowOf[plan.rowOffsets[token]..<plan.rowOffsets[token + 1]]
      #expect(rows.count == real.count)
      for (row, (slot, assignment)) in zip(rows, real) {
        #expect(plan.rows(of: assignment.expert).contains(row) && Int(plan.tokens[row]) == token && Int(plan.slots[row]) == slot)
        #expect(plan.weights[row].bitPattern == assignment.weight.bitPattern)
      }
    }
  }

  @Test(arguments: SelectionKind.all)
  func everyRoutersPlanIsWellFormed(_ kind: SelectionKind) throws {
    var random = SeededRandom(seed: 3)
    for tokens in [0, 1, 2, 31, 200] {
      let routing = try router(kind.configuration).route(logits: random.floats(tokens * kind.configuration.scores))
      let experts = kind.configuration.experts
      check(DispatchPlan(routing, experts: experts), routing, experts: experts)
      check(DispatchPlan(routing, experts: experts - 5), routing, experts: experts - 5)
    }
  }

  /// combine(pack(x)) with experts that return their input: rowSum(w) x.
  @Test(arguments: SelectionKind.all)
  func identityExpertsReturnTheirInput(_ kind: SelectionKind) throws {
    var random = SeededRandom(seed: 4)
    let tokens = 53, routing = try router(kind.configuration).route(logits: random.floats(tokens * kind.configuration.scores))
    let x = random.floats(tokens)
    for experts in [kind.configuration.experts, 7, 0] {
      let plan = DispatchPlan(routing, experts: experts), packed = plan.tokens.map { x[Int($0)] }
      #expect(plan.identityWeights.isEmpty == (experts == kind.configuration.experts))
      for token in 0..<tokens {
        var sum = plan.rowOf[plan.rowOffsets[token]..<plan.rowOffsets[token + 1]].reduce(0.0) { $0 + Double(plan.weights[$1]) * Double(packed[$1]) }
        if !plan.identityWeights.isEmpty { sum += Double(plan.identityWeights[token]) * Double(x[token]) }
        let expected = routing.assignments(of: token).weights.reduce(0.0) { $0 + Double($1) } * Double(x[token])
        #expect(abs(sum - expected) <= 1e-5 * max(abs(expected), 1e-6))
      }
    }
  }

  @Test func virtualExpertsNeverBecomeRows() throws {
    let routing = try RouterOutput(experts: 5, offsets: [0, 3, 4, 4], expertIDs: [4, 1, 3, 3], weights: [0.5, 2, 0.25, 1])
    let identity = DispatchPlan(routing, experts: 3)
    #expect(identity.offsets == [0, 0, 1, 1] && identity.tokens == [0] && identity.weights == [2] && identity.slots == [1])
    #expect(identity.identityWeights == [0.75, 1, 0])
    let zero = DispatchPlan(routing, experts: 3, identity: false)
    #expect(zero.rows == 1 && zero.identityWeights.isEmpty)
  }

  @Test func allTokensMayChooseOneExpert() throws {
    let routing = try RouterOutput(experts: 300, topK: 1, expertIDs: [Int32](repeating: 299, count: 70), weights: [Float](repeating: 1, count: 70))
    let plan = DispatchPlan(routing, experts: 300)
    check(plan, routing, experts: 300)
    #expect(plan.rows(of: 299) == 0..<70 && plan.rows(of: 298).isEmpty)
  }

  @Test func aSharedExpertTakesEveryToken() {
    let plan = DispatchPlan(everyToken: [0.5, 1, 2])
    #expect(plan.offsets == [0, 3] && plan.tokens == [0, 1, 2] && plan.weights == [0.5, 1, 2] && plan.rowOf == [0, 1, 2])
    #expect(DispatchPlan(everyToken: []).rows == 0)
  }
}
