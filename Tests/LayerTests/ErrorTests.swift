// Checkpoints that cannot be understood: a typed error that names what is wrong.

import Foundation
import MoE
import Testing

@Suite struct ErrorTests {
  private func message(_ body: () throws -> Void) -> String {
    do { try body() } catch { return error is MoEError ? "\(error)" : "another error: \(error)" }
    return "no error"
  }

  private func message(_ fixture: String, _ edits: TensorEdits = .init(), _ edit: (inout [String: JSON]) -> Void = { _ in }) throws -> String {
    let fixture = try LayerFixture.named(fixture)
    return message { _ = try fixture.layer(edits, edit) }
  }

  private func replacing(_ name: String, _ type: ElementType, _ shape: [Int]) throws -> TensorEdits {
    TensorEdits(replaced: [name: try .zeros(name, type, shape)])
  }

  @Test(arguments: ["experts.3.up_proj.weight", "experts.15.down_proj.weight", "experts.0.gate_proj.weight"])
  func aMissingTensorIsNamed(_ name: String) throws {
    let found = try message("qwen3_moe", TensorEdits(removed: ["model.layers.0.mlp.\(name)"]))
    #expect(found.contains("'model.layers.0.mlp.\(name)' is missing"), "\(found)")
  }

  @Test func aMissingRouterMeansNoBlock() throws {
    let fixture = try LayerFixture.named("qwen3_moe"), removed = TensorEdits(removed: ["model.layers.0.mlp.gate.weight"])
    #expect(message { _ = try fixture.model(removed).block(layer: 0) } == "no MoE layer 0; found none")
  }

  @Test func missingSharedExperts() throws {
    for name in ["shared_expert.up_proj.weight", "shared_expert_gate.weight"] {
      let found = try message("qwen2_moe", TensorEdits(removed: ["model.layers.0.mlp.\(name)"]))
      #expect(found.contains("model.layers.0.mlp.\(name)") && found.contains("missing"), "\(found)")
    }
  }

  @Test(arguments: [("deepseek_v3", "gate.e_score_correction_bias"), ("ernie4_5_moe_all", "e_score_correction_bias")])
  func aMissingChoiceBiasIsAnError(_ name: String, _ suffix: String) throws {
    let fixture = try LayerFixture.named(name), all = try SafetensorsFile(path: fixture.path).tensorNames
    let removed = all.filter { $0.hasSuffix(suffix) }
    #expect(removed.count == 1)
    let found = try message(name, TensorEdits(removed: Set(removed)))
    #expect(found.contains("e_score_correction_bias") && found.contains("missing"), "\(found)")
  }

  @Test func aMissingFP8ScaleIsAnError() throws {
    let name = "model.layers.0.mlp.experts.1.down_proj.weight_scale_inv"
    let found = try message("deepseek_v3_fp8", TensorEdits(removed: [name]))
    #expect(found.contains("'\(name)' is missing"), "\(found)")
  }

  @Test(arguments: [("deepseek_v3_awq", "qzeros"), ("deepseek_v3_awq", "scales"), ("qwen2_moe_ct_int4", "weight_scale"), ("glm4_moe_gptq", "scales")])
  func missingPartsOfQuantizedMatrices(_ name: String, _ part: String) throws {
    let fixture = try LayerFixture.named(name)
    let tensor = try #require(try SafetensorsFile(path: fixture.path).tensorNames.first { $0.contains("experts.1.") && $0.hasSuffix(".\(part)") })
    let found = try message(name, TensorEdits(removed: [tensor]))
    #expect(found.contains("'\(tensor)' is missing"), "\(found)")
  }

  @Test func wrongShapesAreNamed() throws {
    let up = "model.layers.0.mlp.experts.3.up_proj.weight", router = "model.layers.0.mlp.gate.weight"
    let found = try message("qwen3_moe", replacing(up, .f32, [24, 31]))
    #expect(found.contains(up) && found.contains("[24, 32]") && found.contains("[24, 31]"), "\(found)")
    let turned = try message("qwen3_moe", replacing(up, .f32, [32, 24]))
    #expect(turned.contains("[24, 32]") && turned.contains("[32, 24]"), "\(turned)")
    let wide = try message("qwen3_moe", replacing(router, .f32, [17, 32]))
    #expect(wide.contains(router) && wide.contains("[16, 32]") && wide.contains("[17, 32]"), "\(wide)")
    let bias = "model.layers.0.mlp.gate.e_score_correction_bias"
    #expect(try message("deepseek_v3", replacing(bias, .f32, [3])).contains(bias))
    let scale = "model.layers.0.mlp.experts.1.down_proj.weight_scale_inv"
    #expect(try message("deepseek_v3_fp8", replacing(scale, .f32, [2, 9])).contains(scale))
  }

  @Test(arguments: [ElementType.i32, .u8, .f64, .bool])
  func wrongTypesAreNamed(_ type: ElementType) throws {
    let up = "model.layers.0.mlp.experts.3.up_proj.weight"
    let found = try message("qwen3_moe", replacing(up, type, [24, 32]))
    #expect(found.contains(up) && found.contains("\(type)"), "\(found)")
  }

  @Test func fusedTensorsAreChecked() throws {
    let fixture = try LayerFixture.named("gpt_oss"), prefix = try fixture.prefix()
    for (name, shape) in [("experts.gate_up_proj", [3, 5, 7]), ("experts.down_proj", [1]), ("experts.gate_up_proj_bias", [2, 2])] {
      let found = try message("gpt_oss", replacing("\(prefix).\(name)", .f32, shape))
      #expect(found.contains("\(prefix).\(name)"), "\(found)")
    }
  }

  @Test func topKAboveTheExpertsIsAnError() throws {
    let found = try message("qwen3_moe") { $0["num_experts_per_tok"] = .integer(17) }
    #expect(found == "router configuration: top-k 17 of 16 experts")
    #expect(try message("qwen3_moe") { $0["num_experts_per_tok"] = .integer(0) }.contains("top-k 0"))
  }

  @Test func badValuesAreNamed() throws {
    for (key, value) in [("num_experts", JSON.string("many")), ("hidden_size", .integer(-4)), ("norm_topk_prob", .string("yes")), ("num_experts_per_tok", .array([])), ("hidden_size", .integer(1 << 40)), ("num_experts", .null)] {
      let found = try message("qwen3_moe") { $0[key] = value }
      #expect(found != "no error", "\(key) \(value)")
      #expect(found.contains(key) || key == "num_experts", "\(found)")
    }
    #expect(try message("qwen3_moe") { $0["hidden_act"] = .string("mish") }.contains("mish"))
    #expect(try message("dots1_all") { $0["n_routed_experts"] = nil } != "no error")
  }

  @Test func anUnknownFamilyNamesKeysAndTensors() throws {
    let path = URL(fileURLWithPath: LayerFixture.root).deletingLastPathComponent().appendingPathComponent("Fixtures-negative/unknown_family").path
    do {
      _ = try MoEModel(Checkpoint(path: path))
      Issue.record("understood")
    } catch MoEError.unknownFamily(let model, let keys, let tensors) {
      #expect(model == "mystery_moe")
      #expect(keys.contains("num_experts") && keys.contains("num_experts_per_tok") && keys.contains("norm_topk_prob"))
      #expect(tensors.contains("model.layers.0.mlp.experts.0.gate_proj.weight") && tensors.contains("model.layers.1.mlp.gate.weight"))
    }
    let found = message { _ = try MoELayer(Checkpoint(path: path), layer: 0, on: LayerFixture.machine) }
    #expect(found.contains("mystery_moe") && found.contains("num_experts_per_tok") && found.contains("model.layers.0.mlp"), "\(found)")
  }

  @Test func otherLayersAreListed() throws {
    let path = "\(LayerFixture.root)/tiny_qwen3_moe"
    let found = message { _ = try MoELayer(Checkpoint(path: path), layer: 0, on: LayerFixture.machine) }
    #expect(found == "no MoE layer 0; found 1, 2")
    #expect(message { _ = try MoELayer(Checkpoint(path: path), layer: 77, on: LayerFixture.machine) } == "no MoE layer 77; found 1, 2")
    #expect(message { _ = try MoELayer(Checkpoint(path: path), layer: -1, on: LayerFixture.machine) } == "no MoE layer -1; found 1, 2")
    let model = try MoEModel(Checkpoint(path: path))
    #expect(message { _ = try model.block(prefix: "model.layers.0.mlp") }.contains("model.layers.1.mlp, model.layers.2.mlp"))
  }

  static let unsupported: [(folder: String, key: String, value: JSON)] = [
    ("qwen3_moe_gptq_sym", "bits", .integer(8)), ("qwen3_moe_gptq_sym", "bits", .integer(3)), ("qwen3_moe_awq", "bits", .integer(8)),
    ("qwen3_moe_awq", "version", .string("gemv")), ("qwen3_moe_awq", "zero_point", .bool(false)),
    ("qwen3_moe_nvfp4", "quant_algo", .string("INT4_AWQ")), ("mixtral_bnb_nf4", "bnb_4bit_quant_type", .string("fp4")),
    ("mixtral_bnb_nf4", "load_in_8bit", .bool(true)), ("deepseek_v3_fp8", "fmt", .string("e5m2")),
    ("qwen3_moe_gptq_sym", "quant_method", .string("hqq")), ("deepseek_v3_fp8", "weight_block_size", .array([.integer(0), .integer(4)])),
    ("qwen2_moe_compressed_tensors", "config_groups", .object(["group_0": .object(["weights": .object(["num_bits": .integer(8), "type": .string("int")])])])),
  ]

  @Test(arguments: unsupported.indices)
  func unsupportedQuantizationIsNamed(_ index: Int) throws {
    let (folder, key, value) = Self.unsupported[index]
    do {
      _ = try WholeCheckpoints.model(folder) { config in
        var quantization = config["quantization_config"]?.object ?? [:]
        quantization[key] = value
        config["quantization_config"] = .object(quantization)
      }
      Issue.record("\(folder) with \(key) \(value) was accepted")
    } catch { guard let error = error as? MoEError, case .unsupportedQuantization = error else { throw error } }
  }

  @Test func aForgottenMethodIsAnError() throws {
    let model = try WholeCheckpoints.model("qwen3_moe_awq") { $0["quantization_config"] = nil }
    let found = message { _ = try model.weights(of: model.blocks[0]) }
    #expect(found.contains("qweight") && found.contains("neither awq nor gptq"), "\(found)")
  }
}
