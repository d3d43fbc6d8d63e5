// Sharded safetensors: the index and its shards.

import Foundation
import MoECheckpoint
import Testing

@Suite struct ShardTests {
  let folder: TemporaryFolder
  init() throws {
    folder = try TemporaryFolder()
    for (name, tensor) in [("1.safetensors", "a"), ("2.safetensors", "b")] {
      try folder.write(safetensors("{\"\(tensor)\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", data: 4), name)
    }
  }

  private func open(_ index: String) throws -> ShardedSafetensors {
    try ShardedSafetensors(indexPath: try folder.write(index, "model.safetensors.index.json"))
  }

  private func error(_ map: String) throws -> String {
    do {
      _ = try open("{\"weight_map\":\(map)}")
      return "none"
    } catch let error as CheckpointError {
      return kind(error)
    }
  }

  @Test func tensorsOfAllShards() throws {
    let source = try open(#"{"metadata":{"total_size":8,"x":[NaN]},"weight_map":{"b":"2.safetensors","a":"1.safetensors"}}"#)
    #expect(source.tensorNames == ["a", "b"])
    #expect(source.shardPaths.count == 2)
    #expect(try source.tensor("b")?.shape == [4])
    #expect(try source.tensor("c") == nil)
    // The folder does as well.
    #expect(try ShardedSafetensors(indexPath: folder.path, mode: .copied).tensorNames == ["a", "b"])
  }

  @Test func tensorsTheIndexDoesNotNameAreHidden() throws {
    #expect(try open(#"{"weight_map":{"a":"1.safetensors"}}"#).tensorNames == ["a"])
  }

  @Test func aFolderWithOneFile() throws {
    let folder = try TemporaryFolder()
    try folder.write(safetensors(#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, data: 4), "model.safetensors")
    #expect(try ShardedSafetensors(indexPath: folder.path).tensorNames == ["a"])
  }

  @Test(arguments: [
    (#"{"a":"3.safetensors"}"#, "missing"), (#"{"b":"1.safetensors"}"#, "missing"), (#"{"a":"1.safetensors","b":"1.safetensors"}"#, "missing"),
    (#"{"a":"../1.safetensors"}"#, "invalid"), (#"{"a":"x/../../1.safetensors"}"#, "invalid"), (#"{"a":"/etc/passwd"}"#, "invalid"),
    (#"{"a":""}"#, "invalid"), (#"{"a":"."}"#, "invalid"), (#"{"a":".."}"#, "invalid"), (#"{"a":"x\u0000"}"#, "invalid"), (#"{"a":1}"#, "invalid"),
    (#"{"":"1.safetensors"}"#, "invalid"), (#"{"a":"1.safetensors","a":"1.safetensors"}"#, "duplicate"), ("[]", "invalid"),
  ])
  func wrongMaps(_ map: String, _ expected: String) throws { #expect(try error(map) == expected) }

  @Test func wrongIndexFiles() throws {
    for text in ["", "{}", "[]", #"{"weight_map":{}"#, #"{"weight_map":{},"weight_map":{}}"#, #"{"weight_map":{}} x"#] {
      #expect(throws: CheckpointError.self, "\(text)") { try open(text) }
    }
    #expect(throws: CheckpointError.self) { try ShardedSafetensors(indexPath: folder.at("absent.json")) }
  }

  @Test func shardsThatAreFoldersOrTruncated() throws {
    try FileManager.default.createDirectory(atPath: folder.at("3.safetensors"), withIntermediateDirectories: true)
    #expect(try error(#"{"a":"3.safetensors"}"#) == "notRegularFile")
    try folder.write(Array(try folder.read("1.safetensors").dropLast()), "1.safetensors")
    #expect(try error(#"{"a":"1.safetensors"}"#) == "truncated")
  }

  @Test func symbolicLinksAreFollowed() throws {
    let other = try TemporaryFolder()
    try other.write(safetensors(#"{"l":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, data: 4), "blob")
    try FileManager.default.createSymbolicLink(atPath: folder.at("l.safetensors"), withDestinationPath: other.at("blob"))
    #expect(try error(#"{"l":"l.safetensors"}"#) == "none")
  }
}
