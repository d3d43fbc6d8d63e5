// Factors of whole experts, which GGUF files keep beside NVFP4 weights.

import MoE
import MoECheckpoint
import MoEFamilies
import MoETensors
import Testing

@Suite struct FactorTests {
  private static let file = Result { try GGUFFile(path: "\(LayerFixture.root)/families/moe_nvfp4.gguf") }

  /// The file's tensors, and vectors beside them.
  private struct WithFactors: TensorSource {
    let file: GGUFFile
    let factors: [String: TensorView]
    var tensorNames: [String] { file.tensorNames + factors.keys.sorted() }
    var fileDescription: String { file.fileDescription }
    func tensor(_ name: String) throws(CheckpointError) -> TensorView? { if let factors = factors[name] { factors } else { try file.tensor(name) } }
  }

  private func model(_ factors: [String: [Float]]) throws -> MoEModel {
    let file = try Self.file.get(), vectors = try factors.mapValues { values in
      let bytes = AlignedBuffer(byteCount: 4 * values.count)
      for (index, value) in values.enumerated() { bytes.bytes.storeBytes(of: value, toByteOffset: 4 * index, as: Float.self) }
      return try TensorView(name: "factors", type: .f32, shape: [values.count], bytes: UnsafeRawBufferPointer(bytes.bytes), owner: bytes)
    }
    return try MoEModel(Checkpoint(tensors: WithFactors(file: file, factors: vectors), metadata: .gguf(file.metadata), path: "with factors"))
  }

  @Test func eachExpertHasItsOwn() throws {
    let plain = try model([:]), block = plain.blocks[0], weights = try plain.weights(of: block), count = weights.experts.count
    let up = (0..<count).map { 0.3 + Float($0) }, down = (0..<count).map { -0.01 * Float($0 + 1) }
    let found = try model(["blk.0.ffn_up_exps.scale": up, "blk.0.ffn_down_exps.scale": down]).weights(of: block)
    for (expert, (with, without)) in zip(found.experts.experts, weights.experts.experts).enumerated() {
      for (with, without, factor) in [(with.up, without.up, up[expert]), (with.down, without.down, down[expert]), (with.gate!, without.gate!, 1)] {
        let expected = without.decoded().map { $0 * factor }
        #expect(zip(with.decoded(), expected).allSatisfy { abs($0 - $1) <= 2 * .ulpOfOne * abs($1) })
      }
    }
  }

  @Test(arguments: [ActivationPrecision.float, .int8], [WeightLayout.rows, .panels])
  func powersOfTwoScaleTheOutput(_ activations: ActivationPrecision, _ layout: WeightLayout) throws {
    let plain = try model([:]), block = plain.blocks[0], count = try plain.weights(of: block).experts.count
    let scaled = try model(["blk.0.ffn_down_exps.scale": [Float](repeating: 0x1p-20, count: count)])
    let layers = try [plain, scaled].map { try MoELayer($0, block: block, on: LayerFixture.machine, activations: activations, layout: layout) }
    #expect(layers.allSatisfy { $0.activations == activations })
    let hidden = layers[0].hidden, states = try HiddenStates((0..<5 * hidden).map { Float($0 % 7) - 3 }, tokens: 5, hidden: hidden)
    let outputs = try layers.map { try $0(states).values }
    #expect(outputs[0].contains { $0 != 0 })
    #expect(outputs[0].map { $0 * 0x1p-20 } == outputs[1])
  }

  @Test func othersAreRefused() throws {
    let block = try model([:]).blocks[0]
    for (name, factors) in [("blk.0.ffn_up_exps.scale", [1]), ("blk.0.ffn_gate_inp.scale", [Float(2)])] {
      let model = try model([name: factors])
      #expect { _ = try model.weights(of: block) } throws: { "\($0)".contains(name) }
    }
  }
}
