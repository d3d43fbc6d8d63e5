// The fixtures of the package, read whole.

import MoECheckpoint
import MoETensors
import Testing

@Suite struct FixtureTests {
  /// Opens a fixture; nil, with the name printed, when the table lacks the file's weight format.
  private func open(_ path: String, _ mode: LoadMode) throws -> Checkpoint? {
    do throws(CheckpointError) {
      return try Checkpoint(path: path, mode: mode)
    } catch {
      guard case .unknownType(_, _, _, let type) = error, WeightFormat.all.count < 10 else { throw error }
      print("not run, no format \(type): \(path)")
      return nil
    }
  }

  @Test(arguments: try Fixtures.names(".safetensors"), [LoadMode.mapped, .copied])
  func safetensorsFiles(_ name: String, _ mode: LoadMode) throws {
    guard let checkpoint = try open(Fixtures.path + "/" + name, mode) else { return }
    #expect(try sum(checkpoint.tensors) > 0)
    let file = try #require(checkpoint.tensors as? SafetensorsFile)
    let beside = String(name.dropLast("safetensors".count)) + "json"
    if let spec = file.metadata["spec"], try Fixtures.names(".json").contains(beside) {
      #expect(try JSON(parsing: spec) == JSON(path: Fixtures.path + "/" + beside))
    }
  }

  @Test(arguments: try Fixtures.names(".gguf"), [LoadMode.mapped, .copied])
  func ggufFiles(_ name: String, _ mode: LoadMode) throws {
    guard let checkpoint = try open(Fixtures.path + "/" + name, mode) else { return }
    #expect(try sum(checkpoint.tensors) > 0)
    guard case .gguf(let keys) = checkpoint.metadata else {
      Issue.record("no keys")
      return
    }
    let architecture = try #require(keys["general.architecture"]?.string)
    let experts = try #require(keys["\(architecture).expert_count"]?.int)
    let hidden = try #require(keys["\(architecture).embedding_length"]?.int)
    #expect(try checkpoint.tensor("blk.0.ffn_gate_inp.weight").shape == [experts, hidden])
    #expect(try checkpoint.tensor("blk.0.ffn_gate_exps.weight").shape.first == experts)
    #expect(try checkpoint.tensor("blk.0.ffn_down_exps.weight").shape.dropFirst().first == hidden)
  }

  @Test func oneFileAndFourShardsHoldTheSameModel() throws {
    let single = try Checkpoint(path: Fixtures.path + "/tiny_qwen3_moe")
    let sharded = try Checkpoint(path: Fixtures.path + "/tiny_qwen3_moe_sharded", mode: .copied)
    #expect(Set(single.tensors.tensorNames) == Set(sharded.tensors.tensorNames))
    #expect((sharded.tensors as? ShardedSafetensors)?.shardPaths.count == 4)
    for name in single.tensors.tensorNames {
      let wide = try single.tensor(name)
      let narrow = try sharded.tensor(name)
      #expect(wide.shape == narrow.shape && wide.type == .f32 && narrow.type == .bf16)
      #expect(try wide.floats() == narrow.floats())
    }
    for checkpoint in [single, sharded] {
      guard case .config(let config) = checkpoint.metadata else {
        Issue.record("no config")
        continue
      }
      #expect(config["model_type"]?.string == "qwen3_moe")
    }
  }
}
