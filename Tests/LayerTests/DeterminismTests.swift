// Every layer case: the same bits for every number of threads, every batch, every call.

import Dispatch
import MoE
import Synchronization
import Testing

@Suite struct DeterminismTests {
  /// The layer in every precision it has.
  private func layers(_ fixture: LayerFixture, on machine: Machine = LayerFixture.machine) throws -> [MoELayer] {
    try ActivationPrecision.allCases.compactMap { precision in
      let layer = try fixture.layer(on: machine, activations: precision)
      return layer.activations == precision ? layer : nil
    }
  }

  @Test func thereAreCases() {
    #expect(LayerFixture.found.count >= 100)
    print("\(LayerFixture.all.count) of \(LayerFixture.found.count) layer cases")
  }

  @Test(arguments: LayerFixture.all)
  func threadsDoNotMatter(_ fixture: LayerFixture) throws {
    let (states, sequences) = try fixture.input()
    for (index, layer) in try layers(fixture, on: LayerFixture.machines[0]).enumerated() {
      let expected = try layer.bits(states, sequences: sequences)
      for machine in LayerFixture.machines[1...] {
        let found = try layers(fixture, on: machine)[index].bits(states, sequences: sequences)
        #expect(found == expected, "\(machine.pool.threads) threads")
      }
      #expect(try layer.bits(states, sequences: sequences) == expected, "a second call")
    }
  }

  @Test(arguments: LayerFixture.all)
  func theLayoutOfWeightsDoesNotMatter(_ fixture: LayerFixture) throws {
    let (states, sequences) = try fixture.input()
    for activations in ActivationPrecision.allCases {
      let chosen = try fixture.layer(activations: activations).bits(states, sequences: sequences)
      for layout in WeightLayout.allCases {
        #expect(try fixture.layer(activations: activations, layout: layout).bits(states, sequences: sequences) == chosen, "\(activations) \(layout)")
      }
    }
  }

  @Test func mostCasesHavePanels() throws {
    let inPanels = try LayerFixture.all.filter { try $0.layer(layout: .panels).weights.experts.experts[0].up.layout == .panels }
    #expect(inPanels.count > LayerFixture.all.count / 2, "\(inPanels.count) of \(LayerFixture.all.count)")
  }

  @Test(arguments: LayerFixture.all)
  func theBatchDoesNotMatter(_ fixture: LayerFixture) throws {
    let states = try fixture.input().states
    let alone = try layers(fixture, on: LayerFixture.machines[0])
    for (index, layer) in try layers(fixture).enumerated() where layer.isPerToken {
      let whole = try layer.bits(states)
      for token in 0..<states.tokens { #expect(try layer.bits(states.rows([token])) == [whole[token]], "token \(token) alone") }
      let order = Array((0..<states.tokens).reversed())
      #expect(try layer.bits(states.rows(order)) == order.map { whole[$0] })
      // More rows than one tile of the kernels takes; on one thread in strips, where experts have rows enough.
      let many = (0..<150).map { $0 * 7 % states.tokens }
      #expect(try layer.bits(states.rows(many)) == many.map { whole[$0] })
      #expect(try alone[index].bits(states.rows(many)) == many.map { whole[$0] })
    }
  }

  @Test(arguments: LayerFixture.all)
  func aBadTokenHarmsNoOther(_ fixture: LayerFixture) throws {
    let states = try fixture.input().states
    for layer in try layers(fixture) where layer.isPerToken && states.tokens > 1 {
      var expected = try layer.bits(states)
      expected.remove(at: 1)
      for value in [Float.nan, .infinity] {
        let bad = try states.with(1, value)
        var found = try layer.bits(bad)
        let lost = found.remove(at: 1)
        #expect(lost.allSatisfy { Float(bitPattern: $0).isNaN }, "\(value)")
        #expect(found == expected, "\(value)")
        #expect(try layer.route(bad).nonFiniteTokens == 1)
      }
    }
  }

  @Test(arguments: LayerFixture.all)
  func precomputedRoutingReplacesTheRouter(_ fixture: LayerFixture) throws {
    let (states, sequences) = try fixture.input(), layer = try fixture.layer()
    let routing = try layer.route(states, sequenceLengths: sequences)
    let expected = try layer.bits(states, sequences: sequences)
    #expect(try layer.bits(states, routing: routing) == expected)
    let copy = try RouterOutput(experts: routing.experts, offsets: routing.offsets, expertIDs: routing.expertIDs, weights: routing.weights)
    #expect(try layer.bits(states, routing: copy) == expected)
    let nothing = try RouterOutput(experts: routing.experts, offsets: .init(repeating: 0, count: states.tokens + 1), expertIDs: [], weights: [])
    #expect(try layer.bits(states, routing: nothing) != expected)
  }

  @Test(arguments: LayerFixture.all)
  func anyNumberOfTokens(_ fixture: LayerFixture) throws {
    let layer = try fixture.layer(), states = try fixture.input().states
    #expect(try layer(HiddenStates([], tokens: 0, hidden: layer.hidden)) == HiddenStates([], tokens: 0, hidden: layer.hidden))
    let one = try layer(states.rows([0]))
    #expect(one.tokens == 1 && one.values.allSatisfy(\.isFinite))
    #expect(try layer(states).values.map(\.bitPattern) == layer.bits(states).flatMap { $0 })
  }

  @Test(arguments: ["qwen3_moe", "gpt_oss_mxfp4", "switch_transformers", "deepseek_v3_awq", "longcat_flash_all"])
  func callersMayShareALayer(_ name: String) throws {
    let fixture = try LayerFixture.named(name), (states, sequences) = try fixture.input()
    for layer in try layers(fixture, on: LayerFixture.machines[3]) {
      let expected = try layer.bits(states, sequences: sequences), wrong = Atomic(0)
      DispatchQueue.concurrentPerform(iterations: 64) { _ in
        if (try? layer.bits(states, sequences: sequences)) != expected { wrong.add(1, ordering: .relaxed) }
      }
      #expect(wrong.load(ordering: .relaxed) == 0)
    }
  }

  /// Four threads, each calling two layers of one machine in turn, in either precision, and routing in between.
  @Test(arguments: [("qwen3_moe", "deepseek_v3"), ("mixtral_bf16", "gpt_oss_mxfp4"), ("qwen2_moe_all", "deepseek_v2_group")])
  func callersMayShareAMachine(_ first: String, _ second: String) throws {
    let machine = try Machine.current(threads: 4)
    var calls: [@Sendable () throws -> Bool] = []
    for name in [first, second] {
      let fixture = try LayerFixture.named(name), (states, sequences) = try fixture.input()
      for layer in try layers(fixture, on: machine) {
        let expected = try layer.bits(states, sequences: sequences), routing = try layer.route(states, sequenceLengths: sequences)
        calls.append { try layer.bits(states, sequences: sequences) == expected }
        calls.append { try layer.route(states, sequenceLengths: sequences) == routing }
      }
    }
    let wrong = Atomic(0), ordered = calls
    DispatchQueue.concurrentPerform(iterations: 4) { caller in
      for round in 0..<24 where (try? ordered[(caller + round) % ordered.count]()) != true { wrong.add(1, ordering: .relaxed) }
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
  }

  @Test(arguments: LayerFixture.all)
  func backendsAgree(_ fixture: LayerFixture) throws {
    let (states, sequences) = try fixture.input()
    func output(_ device: MoELayer.Device) throws -> [Float] {
      try fixture.layer(device: device).bits(states, sequences: sequences).flatMap { $0.map(Float.init(bitPattern:)) }
    }
    let cpu = try output(.cpu), blas: [Float]
    do { blas = try output(.blas) } catch MoEError.machine(let reason) {
      print("not run: \(reason)")
      return
    }
    let largest = cpu.map(abs).max() ?? 0
    #expect(zip(cpu, blas).allSatisfy { abs($0 - $1) <= 64 * Float.ulpOfOne * largest })
  }

  @Test(arguments: LayerFixture.all)
  func tablesAgree(_ fixture: LayerFixture) throws {
    let (states, sequences) = try fixture.input()
    var outputs: [[Float]] = [], routings: [RouterOutput] = []
    for table in KernelTable.runnable {
      let layer = try fixture.layer(on: Machine.current(threads: 2, kernels: table))
      outputs.append(try layer.bits(states, sequences: sequences).flatMap { $0.map(Float.init(bitPattern:)) })
      routings.append(try layer.route(states, sequenceLengths: sequences))
    }
    let largest = outputs[0].map(abs).max() ?? 0
    #expect(routings.allSatisfy { $0 == routings[0] })
    #expect(outputs.allSatisfy { zip($0, outputs[0]).allSatisfy { abs($0 - $1) <= 64 * Float.ulpOfOne * largest } })
  }
}
