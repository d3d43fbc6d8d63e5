// Rules of single families: identity experts, capacity, resident bytes.

import MoE
import Testing

@Suite struct LayerRuleTests {
  @Test func identityExpertsNeverReachAProduct() throws {
    let layer = try LayerFixture.named("longcat_flash_all").layer(), states = try LayerFixture.named("longcat_flash_all").input().states
    let real = layer.weights.experts.count, all = layer.configuration.router.experts
    #expect(real == layer.configuration.experts && all == real + layer.configuration.identityExperts && all > real)
    let plan = try layer.plan(layer.route(states))
    #expect(plan.experts == real && plan.rows < states.tokens * layer.configuration.topK)
    for id in real..<all {
      let routing = try RouterOutput(
        experts: all, topK: 1, expertIDs: .init(repeating: Int32(id), count: states.tokens), weights: .init(repeating: 0.5, count: states.tokens))
      #expect(try layer.plan(routing).rows == 0)
      let found = try layer.bits(states, routing: routing).flatMap { $0 }
      #expect(found == states.values.map { (0.5 * $0).bitPattern })
    }
  }

  @Test func capacityIsCountedBySequence() throws {
    let fixture = try LayerFixture.named("switch_transformers_cap1"), (states, sequences) = try fixture.input(), layer = try fixture.layer()
    #expect(sequences.count == 3)
    let together = try layer.bits(states, sequences: sequences), one = try layer.bits(states)
    #expect(together != one)
    #expect(try layer.route(states).droppedAssignments > layer.route(states, sequenceLengths: sequences).droppedAssignments)
    var first = 0
    for length in sequences {
      #expect(try layer.bits(states.rows(first..<first + length)) == Array(together[first..<first + length]))
      first += length
    }
    #expect(throws: MoEError.self) { try layer.bits(states, sequences: [1, 2]) }
  }

  @Test func stagesMakeTheLayer() throws {
    let fixture = try LayerFixture.named("mixtral"), layer = try fixture.layer(), states = try fixture.input().states
    let plan = try layer.plan(layer.route(states))
    let activated = try layer.gateUp(plan, states), outputs = try layer.down(plan, activated)
    #expect(try layer.combine(plan, outputs, states) == layer(states))
  }

  @Test func weightsOnTheInputAreNoWeightsOnTheOutput() throws {
    let fixture = try LayerFixture.named("llama4"), layer = try fixture.layer(), states = try fixture.input().states
    #expect(layer.configuration.weightOnInput)
    var weights = layer.weights
    weights.experts = try ExpertBank(weights.experts.experts, activation: weights.experts.activation)
    #expect(try layer.replacing(weights)(states) != layer(states))
  }

  /// Bytes of the tensors that hold the experts of a block, as they are in the file.
  private func fileBytes(_ model: MoEModel, _ block: MoEBlock) throws -> Int {
    let names = try model.names(of: block), configuration = try model.configuration(of: block)
    let roles = Array(names.experts.values) + Array(names.shared.values)
    let stems = Set(roles.flatMap { role in
      role.contains("{expert}") ? (0..<configuration.experts).map { role.replacingOccurrence(of: "{expert}", with: "\($0)") } : [role]
    })
    return try model.checkpoint.tensors.tensorNames.reduce(0) { sum, name in
      let belongs = stems.contains(name) || stems.contains { name.hasPrefix("\($0).") || name.hasPrefix("\($0)_") }
      return belongs ? sum + (try model.checkpoint.tensors.tensor(name)?.bytes.count ?? 0) : sum
    }
  }

  private func check(_ model: MoEModel, _ block: MoEBlock, _ name: String) throws {
    let weights = try model.weights(of: block), file = try fileBytes(model, block)
    let resident = weights.experts.residentBytes + (weights.shared?.residentBytes ?? 0)
    let ratio = Double(resident) / Double(file)
    #expect(ratio <= 1.15 && ratio >= 0.5, "\(name) \(block.prefix): \(resident) bytes resident, \(file) in the file, ratio \(ratio)")
  }

  @Test(arguments: LayerFixture.all)
  func expertsStayPacked(_ fixture: LayerFixture) throws {
    let model = try fixture.model()
    try check(model, model.block(prefix: fixture.prefix()), fixture.name)
  }

  @Test(arguments: WholeCheckpoints.paths)
  func expertsOfCheckpointsStayPacked(_ path: String) throws {
    let model = try MoEModel(Checkpoint(path: path))
    #expect(!model.blocks.isEmpty)
    for block in model.blocks { try check(model, block, String(path.split(separator: "/").last!)) }
  }
}

@Suite struct Int8UseTests {
  /// NVFP4 meets int8 in panels alone (here its down matrices, 48 wide, have none); MXFP4's codes of the same format do so in rows too.
  @Test func onlyMatricesThatSuitItAreMultipliedInInt8() throws {
    #expect(try LayerFixture.layer(ofCheckpoint: "qwen3_moe_nvfp4", activations: .int8).activations == .int8)
    #expect(try LayerFixture.layer(ofCheckpoint: "qwen3_moe_nvfp4", activations: .int8, layout: .rows).activations == .float)
    #expect(try LayerFixture.layer(ofCheckpoint: "gpt_oss_mxfp4", activations: .int8, layout: .rows).activations == .int8)
    #expect(try LayerFixture.layer(ofCheckpoint: "gpt_oss_mxfp4", activations: .int8).activations == .int8)
    #expect(try LayerFixture.layer(ofCheckpoint: "gpt_oss_mxfp4", activations: .float).activations == .float)
    #expect(try LayerFixture.layer(ofCheckpoint: "gpt_oss_mxfp4", activations: .bfloat16).activations == .float)
  }
}

extension LayerFixture {
  /// The first layer of a folder of Tests/Fixtures/checkpoints.
  fileprivate static func layer(ofCheckpoint folder: String, activations: ActivationPrecision, layout: WeightLayout? = nil) throws -> MoELayer {
    let model = try MoEModel(Checkpoint(path: "\(root)/checkpoints/\(folder)"))
    return try MoELayer(model, block: model.blocks[0], on: machine, activations: activations, layout: layout)
  }
}

extension String {
  fileprivate func replacingOccurrence(of part: String, with text: String) -> String { split(separator: part, omittingEmptySubsequences: false).joined(separator: text) }
}
