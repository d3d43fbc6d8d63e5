// Sizes that no model has, from files and from callers: errors, never the end of the process.

import MoE
import Testing

@Suite struct HostileSizeTests {
  private func message(_ body: () throws -> Void) -> String {
    do { try body() } catch { return "\(error)" }
    return "no error"
  }

  @Test func expertsByTheBillionAreMissing() throws {
    let fixture = try LayerFixture.named("qwen3_moe")
    #expect(message { _ = try fixture.layer { $0["num_experts"] = .integer(1 << 30) } }.contains("is missing"))
    #expect(message { _ = try fixture.layer { $0["moe_intermediate_size"] = .integer(0) } }.contains("32 and 0"))
  }

  @Test func dimensionsBesideAZeroAreBounded() throws {
    for shape in [[0, 1 << 62], [1 << 62, 0], [Int.max, 0], [0, -1]] {
      #expect(throws: ShapeError.self) { try TensorView.zeros("none", .i32, shape) }
    }
    #expect(try TensorView.zeros("none", .i32, [0, 1 << 40]).count == 0)
  }

  @Test func int4GroupsAreEven() throws {
    let scales = try TensorView.zeros("scales", .f16, [8, 8]), odd = try TensorView.zeros("scales", .f16, [8, 24])
    let packed = try TensorView.zeros("packed", .i32, [8, 3])
    #expect(throws: ShapeError.self) { try PackedMatrix(compressedInt4: packed, scales: scales, zeros: nil) }
    #expect(throws: ShapeError.self) { try PackedMatrix(compressedInt4: packed, scales: odd, zeros: nil) }
    let codes = try TensorView.zeros("codes", .i32, [24, 1]), zeros = try TensorView.zeros("zeros", .i32, [8, 1])
    #expect(throws: ShapeError.self) { try PackedMatrix(awq: codes, zeros: zeros, scales: scales) }
    let none = try TensorView.zeros("codes", .i32, [1 << 32, 0]), empty = try TensorView.zeros("empty", .i32, [1, 0])
    #expect(throws: ShapeError.self) {
      try PackedMatrix(gptq: none, zeros: empty, scales: TensorView.zeros("scales", .f16, [1, 0]), groupIndex: nil)
    }
  }

  @Test func codesWithoutScalesAreRefused() throws {
    let name = "model.layers.0.mlp.gate.e_score_correction_bias", fixture = try LayerFixture.named("deepseek_v3")
    let experts = try fixture.model().block(prefix: fixture.prefix()).layer
    #expect(experts == 0)
    let count = try fixture.layer().configuration.experts
    let edits = TensorEdits(replaced: [name: try .zeros(name, .weights(#require(WeightFormat(named: "f8_e4m3"))), [count])])
    #expect(message { _ = try fixture.layer(edits) }.contains(name))
  }

  @Test func numbersBeyondFloatAreRefused() throws {
    let fixture = try LayerFixture.named("deepseek_v3")
    #expect(message { _ = try fixture.layer { $0["routed_scaling_factor"] = .number(1e300) } }.contains("'routed_scaling_factor' is 1e+300"))
  }

  @Test func callersSizes() throws {
    let fixture = try LayerFixture.named("qwen3_moe"), layer = try fixture.layer(), states = try fixture.input().states
    #expect(throws: MoEError.self) { try layer.route(states, sequenceLengths: [.max, .max]) }
    #expect(throws: RoutingError.self) {
      try Router(.init(scores: 1 << 30, score: .softmax, selection: .topK(1)), weight: [1], hidden: .max)
    }
    #expect(throws: ShapeError.self) { try PackedMatrix(encoding: [], rows: .max, columns: 2, as: .f32) }
  }

  @Test func partsOfOtherSizesMakeNoLayer() throws {
    let layer = try LayerFixture.named("qwen2_moe").layer()
    var narrow = layer.configuration
    narrow.hidden /= 2
    #expect(throws: MoEError.self) { try MoELayer(configuration: narrow, weights: layer.weights, on: LayerFixture.machine) }
    var weights = layer.weights
    weights.sharedGate = [1]
    #expect(throws: MoEError.self) { try layer.replacing(weights) }
    weights = layer.weights
    weights.experts = try LayerFixture.named("deepseek_v3").layer().weights.experts
    let differs = weights.experts.hidden != layer.hidden
    #expect(differs ? (try? layer.replacing(weights)) == nil : true)
  }
}
