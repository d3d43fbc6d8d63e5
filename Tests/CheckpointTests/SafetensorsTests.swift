// safetensors headers: what is read, what is refused.

import Foundation
import MoECheckpoint
import MoETensors
import Testing

@Suite struct SafetensorsTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  private func error(_ header: String, data: Int = 0, length: UInt64? = nil) throws -> String {
    kind(try outcome(of: safetensors(header, data: data, length: length), "x.safetensors", in: folder))
  }

  @Test(arguments: [LoadMode.mapped, .copied])
  func tensorsAndMetadata(_ mode: LoadMode) throws {
    let header = #"{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,1],"data_offsets":[4,12]},"a":{"data_offsets":[0,4],"shape":[2],"dtype":"I16"},"s":{"dtype":"U8","shape":[],"data_offsets":[12,13]},"e":{"dtype":"F16","shape":[0,4],"data_offsets":[13,13]}}  "#
    let file = try SafetensorsFile(path: try folder.write(safetensors(header, data: 13), "x.safetensors"), mode: mode)
    #expect(file.metadata == ["format": "pt"])
    #expect(file.tensorNames == ["a", "b", "s", "e"])
    let b = try #require(try file.tensor("b"))
    #expect(b.shape == [2, 1] && b.type == .f32 && Array(b.bytes) == Array(4..<12))
    #expect(try file.tensor("s")?.count == 1)
    #expect(try file.tensor("e")?.bytes.count == 0)
    #expect(try file.tensor("z") == nil)
    #expect(file.fileDescription.contains("x.safetensors"))
  }

  @Test func viewsOutliveTheReader() throws {
    let path = try folder.write(safetensors(#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, data: 4), "x.safetensors")
    let view = try #require(try SafetensorsFile(path: path).tensor("a"))
    #expect(Array(view.bytes) == [0, 1, 2, 3])
  }

  @Test func emptyHeaders() throws {
    #expect(try error("{}") == "none")
    #expect(try error("{} \n\t ") == "none")
    #expect(try error(" {}") == "invalid")
    #expect(try error("") == "truncated")
    #expect(try error("[]") == "invalid")
    #expect(try error("{}x") == "invalid")
    #expect(try error("{}", data: 1) == "invalid")
  }

  @Test func headerLength() throws {
    #expect(try error("{}", length: 3) == "truncated")
    #expect(try error("{}", length: 100_000_001) == "limit")
    #expect(try error("{}", length: .max) == "limit")
    #expect(try error("{}", length: UInt64(Int64.max)) == "limit")
    #expect(try error("{}", length: 1) == "truncated")
    #expect(try error("{}", length: 0) == "truncated")
  }

  @Test(arguments: [
    (#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[1,5]}}"#, 5, "invalid"),  // hole at the start
    (#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, 5, "invalid"),  // bytes of no tensor
    (#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, 3, "truncated"),
    (#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}}"#, 4, "invalid"),
    (#"{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,4]}}"#, 4, "invalid"),
    (#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#, 3, "invalid"),  // overlap
    (#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#, 2, "invalid"),  // shared
    (#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}"#, 4, "invalid"),  // hole
    (#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#, 2, "duplicate"),
    (#"{"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, 1, "invalid"),
    (#"{"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}"#, 8, "unknownType"),
    (#"{"a":{"dtype":"u8","shape":[1],"data_offsets":[0,1]}}"#, 1, "unknownType"),
    (#"{"a":{"dtype":1,"shape":[1],"data_offsets":[0,1]}}"#, 1, "invalid"),
    (#"{"a":{"shape":[1],"data_offsets":[0,1]}}"#, 1, "missing"),
    (#"{"a":{"dtype":"U8","data_offsets":[0,1]}}"#, 1, "missing"),
    (#"{"a":{"dtype":"U8","shape":[1]}}"#, 1, "missing"),
    (#"{"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}}"#, 1, "duplicate"),
    (#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}"#, 1, "invalid"),
    (#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}"#, 1, "invalid"),
    (#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}"#, 1, "invalid"),
    (#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[-0,1]}}"#, 1, "invalid"),
    (#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1.0]}}"#, 1, "invalid"),
    (#"{"a":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}}"#, 1, "invalid"),
    (#"{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}"#, 1, "invalid"),
    (#"{"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}}"#, 1, "invalid"),
    (#"{"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}}"#, 1, "invalid"),
    (#"{"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}}"#, 1, "limit"),
    (#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,18446744073709551616]}}"#, 1, "invalid"),
    (#"{"a":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]}}"#, 1, "truncated"),
    (#"{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#, 0, "overflow"),
    (#"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}}"#, 0, "overflow"),
    (#"{"a":{"dtype":"F64","shape":[2305843009213693953],"data_offsets":[0,8]}}"#, 8, "overflow"),
    (#"{"__metadata__":{"a":1}}"#, 0, "invalid"),
    (#"{"__metadata__":{"a":{}}}"#, 0, "invalid"),
    (#"{"__metadata__":[]}"#, 0, "invalid"),
    (#"{"__metadata__":{"a":"1","a":"2"}}"#, 0, "duplicate"),
    (#"{"__metadata__":{},"__metadata__":{}}"#, 0, "duplicate"),
    (#"{"a":null}"#, 0, "invalid"),
  ])
  func wrongHeaders(_ header: String, _ data: Int, _ expected: String) throws {
    #expect(try error(header, data: data) == expected)
  }

  @Test func unknownTypeNamesItself() throws {
    let error = try outcome(
      of: safetensors(#"{"w":{"dtype":"F4_X","shape":[1],"data_offsets":[0,1]}}"#, data: 1), "x.safetensors", in: folder)
    #expect(error == .unknownType(file: folder.at("x.safetensors"), item: "w", offset: 9, type: "F4_X"))
  }

  @Test func treesWhereNumbersAreDueCostNothing() throws {
    let deep = String(repeating: "[", count: 100_000)
    #expect(try error(#"{"a":{"dtype":"U8","shape":"# + deep) == "invalid")
    #expect(try error(#"{"a":"# + deep) == "invalid")
  }

  @Test func notRegularFilesAreRefused() throws {
    #expect(kind(try outcomeOfOpening(folder.path)) == "notRegularFile")
    #expect(kind(try outcomeOfOpening("/dev/null")) == "notRegularFile")
    #expect(mkfifo(folder.at("fifo"), 0o600) == 0)
    #expect(kind(try outcomeOfOpening(folder.at("fifo"))) == "notRegularFile")
    #expect(kind(try outcomeOfOpening(folder.at("absent"))) == "system")
    #expect(kind(try outcomeOfOpening("a\0b")) == "invalid")
    #expect(kind(try outcomeOfOpening(try folder.write([], "empty"))) == "truncated")
    let locked = try folder.write("{}", "locked")
    chmod(locked, 0)
    // Root may read everything.
    if geteuid() != 0 { #expect(kind(try outcomeOfOpening(locked)) == "system") }
  }

  private func outcomeOfOpening(_ path: String) throws -> CheckpointError? {
    do throws(CheckpointError) { _ = try SafetensorsFile(path: path) } catch { return error }
    return nil
  }
}
