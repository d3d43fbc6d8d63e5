// Finding the checkpoint that a path means.

import MoECheckpoint
import MoETensors
import Testing

@Suite struct CheckpointTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  private let safe = safetensors(#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, data: 4)
  private var gguf: [UInt8] {
    var raw = RawGGUF()
    raw.tensors = [.init(name: "g")]
    raw.data = 32
    return raw.bytes
  }

  @Test func singleFiles() throws {
    let path = try folder.write(safe, "x.safetensors")
    #expect(try Checkpoint(path: path).metadata == .none)
    try folder.write(#"{"n": 1, "limit": Infinity}"#, "config.json")
    guard case .config(let config) = try Checkpoint(path: path).metadata else {
      Issue.record("no config")
      return
    }
    #expect(config["n"]?.int == 1)
    #expect(try Checkpoint(path: try folder.write(gguf, "x.gguf")).metadata == .gguf([:]))
    try folder.write("{", "config.json")
    #expect(throws: CheckpointError.self) { try Checkpoint(path: path) }
  }

  @Test func filesOfOtherNamesSpeakByTheirContent() throws {
    #expect(try Checkpoint(path: try folder.write(gguf, "0a1b")).tensors.tensorNames == ["g"])
    #expect(try Checkpoint(path: try folder.write(safe, "0a1c")).tensors.tensorNames == ["a"])
    #expect(kind(error(try folder.write("hello", "0a1d"))) == "unsupported")
  }

  @Test func folders() throws {
    #expect(kind(error(folder.path)) == "missing")
    try folder.write(gguf, "only.gguf")
    #expect(try Checkpoint(path: folder.path).tensors.tensorNames == ["g"])
    try folder.write(gguf, "second.gguf")
    #expect(kind(error(folder.path)) == "invalid")
    try folder.write(#"{"weight_map":{"a":"model.safetensors"}}"#, "model.safetensors.index.json")
    #expect(kind(error(folder.path)) == "missing")
    try folder.write(safe, "model.safetensors")
    #expect(try Checkpoint(path: folder.path).tensors is SafetensorsFile)
    #expect(try Checkpoint(path: folder.at("model.safetensors.index.json")).tensors is ShardedSafetensors)
    #expect(try Checkpoint(path: folder.path + "/").tensors.tensorNames == ["a"])
  }

  @Test func splitSetsWithoutTheirFirstFile() throws {
    try folder.write(gguf, "m-00002-of-00003.gguf")
    #expect(kind(error(folder.path)) == "missing")
  }

  @Test func absentPaths() { #expect(kind(error(folder.at("absent"))) == "system") }

  @Test func missingTensorsAreNamed() throws {
    let checkpoint = try Checkpoint(path: try folder.write(safe, "x.safetensors"))
    #expect(try checkpoint.tensor("a").count == 4)
    #expect(throws: CheckpointError.missing(file: checkpoint.path, item: "b")) { try checkpoint.tensor("b") }
  }

  private func error(_ path: String) -> CheckpointError? {
    do throws(CheckpointError) { _ = try Checkpoint(path: path) } catch { return error }
    return nil
  }
}
