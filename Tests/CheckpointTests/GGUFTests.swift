// GGUF files: what is read.

import MoECheckpoint
import MoETensors
import Testing

@Suite struct GGUFTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  @Test(arguments: [2, 3] as [UInt32], [LoadMode.mapped, .copied])
  func tensorsOfBothVersions(_ version: UInt32, _ mode: LoadMode) throws {
    var raw = RawGGUF()
    raw.version = version
    raw.keys = [("general.architecture", littleEndian(UInt32(8)) + RawGGUF.string("llama"))]
    raw.tensors = [
      .init(name: "w", dimensions: [32, 3, 2], type: 8, offset: 64), .init(name: "v", dimensions: [8], offset: 0), .init(name: "s", dimensions: [], offset: 32),
    ]
    raw.data = 64 + 6 * 34
    let file = try GGUFFile(path: try folder.write(raw.bytes, "x.gguf"), mode: mode)
    #expect(file.version == version && file.alignment == 32)
    #expect(file.metadata["general.architecture"]?.string == "llama")
    #expect(file.tensorNames == ["v", "s", "w"])
    let w = try #require(try file.tensor("w"))
    #expect(w.shape == [2, 3, 32] && w.type.description == "q8_0" && w.bytes.count == 6 * 34 && w.bytes[0] == 64)
    #expect(try file.tensor("s")?.shape == [])
    #expect(try file.tensor("z") == nil)
  }

  @Test func valuesOfEveryType() throws {
    let type = { (number: UInt32) in littleEndian(number) }
    var raw = RawGGUF()
    raw.keys = [
      ("u8", type(0) + [200]), ("i8", type(1) + [0x80]), ("u16", type(2) + littleEndian(UInt16(65535))), ("i16", type(3) + littleEndian(Int16(-2))),
      ("u32", RawGGUF.u32(.max)), ("i32", type(5) + littleEndian(Int32.min)), ("f32", type(6) + littleEndian(Float(1.5).bitPattern)),
      ("bool", type(7) + [1]), ("string", type(8) + RawGGUF.string("é")), ("u64", type(10) + littleEndian(UInt64.max)),
      ("i64", type(11) + littleEndian(Int64.min)), ("f64", type(12) + littleEndian(Double.pi.bitPattern)),
      ("strings", RawGGUF.array(8, count: 2, RawGGUF.string("a") + RawGGUF.string(""))),
      ("nested", RawGGUF.array(9, count: 2, littleEndian(UInt32(5)) + littleEndian(UInt64(1)) + littleEndian(Int32(-7)) + littleEndian(UInt32(7)) + littleEndian(UInt64(2)) + [0, 1])),
      ("empty", RawGGUF.array(6, count: 0)),
    ]
    let values = try GGUFFile(path: try folder.write(raw.bytes, "x.gguf")).metadata
    #expect(values["u8"] == .u8(200) && values["i8"] == .i8(-128) && values["u16"] == .u16(65535) && values["i16"]?.int == -2)
    #expect(values["u32"]?.int == 4_294_967_295 && values["i32"]?.int == Int(Int32.min) && values["f32"]?.double == 1.5)
    #expect(values["bool"]?.bool == true && values["string"]?.string == "é" && values["u64"] == .u64(.max) && values["u64"]?.int == nil)
    #expect(values["i64"]?.int == Int.min && values["f64"]?.double == .pi && values["f64"]?.int == nil)
    #expect(values["strings"] == .array(.string(["a", ""])))
    #expect(values["nested"] == .array(.array([.i32([-7]), .bool([false, true])])))
    #expect(values["empty"]?.array == [])
    #expect(values["nested"]?.array?.first?.array == [.i32(-7)])
  }

  @Test func alignmentFromTheFile() throws {
    var raw = RawGGUF()
    raw.alignment = 128
    raw.keys = [("general.alignment", RawGGUF.u32(128))]
    raw.tensors = [.init(name: "a", offset: 0), .init(name: "b", offset: 128)]
    raw.data = 160
    let file = try GGUFFile(path: try folder.write(raw.bytes, "x.gguf"))
    #expect(file.alignment == 128)
    #expect(try file.tensor("b")?.bytes.first == 128)
  }

  private func split(_ number: UInt16, of count: UInt16, tensors: Int32, names: [String]) -> [UInt8] {
    var raw = RawGGUF()
    raw.keys = [
      ("split.no", littleEndian(UInt32(2)) + littleEndian(number)), ("split.count", littleEndian(UInt32(2)) + littleEndian(count)),
      ("split.tensors.count", littleEndian(UInt32(5)) + littleEndian(tensors)),
    ]
    raw.tensors = names.enumerated().map { .init(name: $1, offset: UInt64(32 * $0)) }
    raw.data = 32 * names.count
    return raw.bytes
  }

  private func openSplit(_ parts: [[UInt8]], stem: String = "m") throws -> GGUFFile {
    for (number, bytes) in parts.enumerated() { try folder.write(bytes, "\(stem)-0000\(number + 1)-of-00003.gguf") }
    return try GGUFFile(path: folder.at("\(stem)-00001-of-00003.gguf"))
  }

  private func splitError(_ parts: [[UInt8]]) throws -> String {
    do { _ = try openSplit(parts) } catch let error as CheckpointError { return kind(error) }
    return "none"
  }

  @Test func splitSetsOpenAsOne() throws {
    let parts = [
      split(0, of: 3, tensors: 3, names: ["a"]), split(1, of: 3, tensors: 3, names: ["b"]), split(2, of: 3, tensors: 3, names: ["c"]),
    ]
    let file = try openSplit(parts)
    #expect(file.tensorNames == ["a", "b", "c"] && file.paths.count == 3)
    #expect(try file.tensor("c")?.bytes.count == 32)
    #expect(try Checkpoint(path: folder.path).tensors.tensorNames == ["a", "b", "c"])
    // A later file is no start.
    do throws(CheckpointError) {
      _ = try GGUFFile(path: folder.at("m-00002-of-00003.gguf"))
      Issue.record("no error")
    } catch {
      #expect(kind(error) == "unsupported")
    }
  }

  @Test func wrongSplitSets() throws {
    let first = split(0, of: 3, tensors: 3, names: ["a"])
    let third = split(2, of: 3, tensors: 3, names: ["c"])
    #expect(try splitError([first, split(1, of: 3, tensors: 3, names: ["b"])]) == "missing")
    #expect(try splitError([first, split(2, of: 3, tensors: 3, names: ["b"]), third]) == "invalid")
    #expect(try splitError([first, split(1, of: 4, tensors: 3, names: ["b"]), third]) == "invalid")
    #expect(try splitError([first, split(1, of: 3, tensors: 3, names: ["a"]), third]) == "duplicate")
    #expect(try splitError([first, split(1, of: 3, tensors: 3, names: []), third]) == "invalid")
    #expect(try splitError([first, [], third]) == "truncated")
    let path = try folder.write(first, "renamed.gguf")
    #expect(throws: CheckpointError.self) { try GGUFFile(path: path) }
  }
}
