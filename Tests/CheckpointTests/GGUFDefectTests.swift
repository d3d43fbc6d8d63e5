// Every defect class that GGUF loaders have shipped, by name; each is a typed error here.

import MoECheckpoint
import MoETensors
import Testing

@Suite struct GGUFDefectTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  private func error(_ change: (inout RawGGUF) -> Void) throws -> String {
    var raw = RawGGUF()
    raw.tensors = [.init()]
    raw.data = 32
    change(&raw)
    return kind(try outcome(of: raw.bytes, "x.gguf", in: folder))
  }

  private func key(_ value: [UInt8]) throws -> String { try error { $0.keys = [("k", value)] } }

  @Test func theUnchangedFileOpens() throws { #expect(try error { _ in } == "none") }

  // CVE-2024-21802, gguf-tools 25: number of dimensions trusted.
  @Test(arguments: [5, 8, 9, 1 << 31, .max] as [UInt32])
  func rankBeyondLimit(_ rank: UInt32) throws { #expect(try error { $0.tensors[0].rank = rank } == "limit") }

  // CVE-2024-21836: number of tensors times the size of a record.
  @Test(arguments: [2, 1 << 16, 1 << 20, 1 << 21, 1 << 32, 1 << 60, UInt64.max / 25 + 1, .max] as [UInt64])
  func hugeTensorCount(_ count: UInt64) throws { #expect(try error { $0.tensorCount = count } != "none") }

  // CVE-2024-23605: number of keys times the size of a pair.
  @Test(arguments: [1 << 16, 1 << 20, 1 << 21, 1 << 32, 1 << 60, UInt64.max / 14 + 1, .max] as [UInt64])
  func hugeKeyCount(_ count: UInt64) throws { #expect(try error { $0.keyCount = count } != "none") }

  // CVE-2024-23496: length of a string plus one wraps.
  @Test(arguments: [.max, .max - 1, 1 << 63, 1 << 24, 1 << 32, 1000] as [UInt64])
  func stringLengthWraps(_ length: UInt64) throws {
    let result = try key(littleEndian(UInt32(8)) + RawGGUF.string("abc", length: length))
    #expect(result == "limit" || result == "truncated")
    #expect(try ["limit", "truncated"].contains(error { $0.tensors[0].nameLength = length }))
  }

  // CVE-2024-21825: array sizes from the file; arrays of strings.
  @Test(arguments: Array(0...12) as [UInt32])
  func hugeArray(_ type: UInt32) throws {
    for count in [.max, .max / 8 + 1, .max / 16 + 1, 1 << 61, 1 << 32, 1 << 26 + 1, 1 << 26, 1 << 20] as [UInt64] {
      #expect(try ["limit", "truncated"].contains(key(RawGGUF.array(type, count: count))))
    }
  }

  @Test func stringsOfAnArrayEndInTheFile() throws {
    #expect(try key(RawGGUF.array(8, count: 2, RawGGUF.string("a") + littleEndian(UInt64.max))) == "limit")
    #expect(try key(RawGGUF.array(8, count: 2, RawGGUF.string("a") + littleEndian(UInt64(10_000)))) == "truncated")
  }

  @Test func nestedArraysAreBounded() throws {
    var content: [UInt8] = littleEndian(UInt32(0)) + littleEndian(UInt64(1)) + [7]
    for depth in 2...5 {
      let value = littleEndian(UInt32(9)) + littleEndian(UInt32(9)) + littleEndian(UInt64(1)) + content
      #expect(try key(value) == (depth <= 4 ? "none" : "limit"), "\(depth)")
      content = littleEndian(UInt32(9)) + littleEndian(UInt64(1)) + content
    }
    let deep = [UInt8](repeatElement(littleEndian(UInt32(9)) + littleEndian(UInt64(1)), count: 100_000).joined())
    #expect(try key(littleEndian(UInt32(9)) + deep) == "limit")
  }

  // Products of dimensions wrap.
  @Test(arguments: [[1 << 32, 1 << 32], [1 << 63], [.max], [1 << 62, 2], [1 << 31, 1 << 31, 2], [1 << 16, 1 << 16, 1 << 16, 1 << 16]] as [[UInt64]])
  func dimensionsOverflow(_ dimensions: [UInt64]) throws {
    #expect(try error { $0.tensors[0].dimensions = dimensions } == "overflow")
  }

  // CVE-2026-33298: the element count fits, the bytes of the quantized type do not.
  @Test func quantizedByteSizeWraps() throws {
    #expect(try error { $0.tensors[0].dimensions = [1 << 62]; $0.tensors[0].type = 8; $0.tensors[0].offset = 0 } != "none")
    #expect(try error { $0.tensors[0].dimensions = [(1 << 63) - 32]; $0.tensors[0].type = 8 } == "overflow")
    #expect(try error { $0.tensors[0].dimensions = [1 << 58, 31]; $0.tensors[0].type = 8 } == "overflow")
    #expect(try error { $0.tensors[0].dimensions = [1 << 62]; $0.tensors[0].type = 0 } == "overflow")
  }

  // CVE-2025-53630, CVE-2026-27940: accumulated sizes, start of the data plus offset plus size.
  @Test func dataSizeAccumulationWraps() throws {
    #expect(try error { $0.tensors[0].offset = 1 << 63 } == "overflow")
    #expect(try error { $0.tensors[0].offset = .max - 31 } == "overflow")
    #expect(try error { $0.tensors[0].offset = UInt64(Int64.max) - 31 } == "overflow")
    #expect(
      try error { raw in
        raw.tensors = (0..<4).map { .init(name: "t\($0)", dimensions: [1 << 60], offset: UInt64($0) << 62) }
      } != "none")
    #expect(try error { $0.tensors[0].dimensions = [(1 << 61) - 1] } != "none")
  }

  // PR 24759, 26318, 24997: alignment.
  @Test(arguments: [
    (0, "invalid"), (3, "invalid"), (33, "invalid"), (1 << 21, "limit"), (1 << 31, "limit"), (.max, "limit"), (.max - 1, "limit"),
  ] as [(UInt32, String)])
  func alignmentValue(_ value: UInt32, _ expected: String) throws {
    #expect(try error { $0.keys = [("general.alignment", RawGGUF.u32(value))] } == expected)
  }

  @Test func alignmentType() throws {
    for (type, value) in [(0, [32]), (5, littleEndian(Int32(32))), (10, littleEndian(UInt64(32))), (8, RawGGUF.string("32")), (6, littleEndian(Float(32).bitPattern))]
      as [(UInt32, [UInt8])]
    {
      #expect(try error { $0.keys = [("general.alignment", littleEndian(type) + value)] } == "invalid")
    }
    #expect(try error { $0.keys = [("general.alignment", RawGGUF.array(4, count: 1, littleEndian(UInt32(32))))] } == "invalid")
  }

  @Test func duplicateKeysAndNames() throws {
    #expect(try error { $0.keys = [("k", RawGGUF.u32(1)), ("k", RawGGUF.u32(1))] } == "duplicate")
    #expect(try error { $0.tensors = [.init(), .init(offset: 32)]; $0.data = 64 } == "duplicate")
  }

  @Test func emptyNames() throws {
    #expect(try error { $0.keys = [("", RawGGUF.u32(1))] } == "invalid")
    #expect(try error { $0.tensors[0].name = "" } == "invalid")
  }

  @Test func longKeys() throws {
    #expect(try error { $0.keys = [(String(repeating: "k", count: 65_535), RawGGUF.u32(1))] } == "none")
    #expect(try error { $0.keys = [(String(repeating: "k", count: 65_536), RawGGUF.u32(1))] } == "limit")
  }

  @Test func offsetsOutsideOverlappingOrOdd() throws {
    #expect(try error { $0.tensors[0].offset = 16; $0.data = 64 } == "invalid")
    #expect(try error { $0.tensors[0].offset = 32 } == "truncated")
    #expect(try error { $0.tensors[0].dimensions = [9] } == "truncated")
    #expect(try error { $0.tensors = [.init(name: "a", dimensions: [9]), .init(name: "b", offset: 32)]; $0.data = 64 } == "invalid")
    #expect(try error { $0.tensors = [.init(name: "a"), .init(name: "b")] } == "invalid")
  }

  @Test(arguments: [4, 5, 31, 32, 33, 36, 37, 38, 41, 1000, .max] as [UInt32])
  func unknownAndRemovedTypesAreNamed(_ type: UInt32) throws {
    var raw = RawGGUF()
    raw.tensors = [.init(name: "w", type: type)]
    raw.data = 4096
    let error = try outcome(of: raw.bytes, "x.gguf", in: folder)
    guard case .unknownType(_, "w", _, let text) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(text.hasPrefix("\(type)"))
    if type < 41 { #expect(text.contains("removed")) }
  }

  @Test func blocksDivideRows() throws {
    #expect(try error { $0.tensors[0].dimensions = [33]; $0.tensors[0].type = 8 } == "invalid")
    // 64 values, but in rows of 16.
    #expect(try error { $0.tensors[0].dimensions = [16, 4]; $0.tensors[0].type = 8; $0.data = 68 } == "invalid")
  }

  @Test func wrongStarts() throws {
    #expect(try error { $0.magic = Array("GGML".utf8) } == "invalid")
    for version in [0, 1, 4, 0x0300_0000, 0x0200_0000, .max] as [UInt32] { #expect(try error { $0.version = version } == "unsupported") }
    var raw = RawGGUF()
    raw.version = 0x0300_0000
    #expect(try outcome(of: raw.bytes, "x.gguf", in: folder)?.description.contains("big-endian") == true)
  }

  @Test func wrongValues() throws {
    #expect(try key(littleEndian(UInt32(13)) + [0]) == "unknownType")
    #expect(try key(littleEndian(UInt32.max)) == "unknownType")
    #expect(try key(littleEndian(UInt32(7)) + [2]) == "invalid")
    #expect(try key(RawGGUF.array(7, count: 2, [1, 255])) == "invalid")
    #expect(try key(RawGGUF.array(13, count: 1, [0])) == "unknownType")
    #expect(try key(littleEndian(UInt32(8)) + littleEndian(UInt64(1)) + [0xFF]) == "invalid")
  }

  // acestep.cpp 98: counts in metadata are values like others here, whatever they say.
  @Test func metadataCountsIndexNothing() throws {
    #expect(try error { $0.keys = [("llama.block_count", RawGGUF.u32(.max)), ("llama.expert_count", RawGGUF.u32(.max))] } == "none")
  }

  @Test func splitCountsAreChecked() throws {
    #expect(try key([]) != "none")
    for value in [RawGGUF.u32(.max), littleEndian(UInt32(8)) + RawGGUF.string("3"), littleEndian(UInt32(5)) + littleEndian(Int32(-1))] {
      #expect(try error { $0.keys = [("split.count", value)] } == "invalid")
    }
    #expect(try error { $0.keys = [("split.count", RawGGUF.u32(3))] } == "missing")
  }
}
