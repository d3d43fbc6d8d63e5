// The cache of packed weights: the same bits with and without, and never panels of other weights or damaged ones.

import Foundation
import MoE
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

@Suite struct PackedCacheTests {
  private let folder: CacheFolder
  private let fixture: LayerFixture

  init() throws {
    folder = try CacheFolder()
    fixture = try LayerFixture.named("qwen3_moe")
  }

  private func layer(_ fixture: LayerFixture? = nil, _ mode: LoadMode = .mapped, _ edits: TensorEdits = .init()) throws -> MoELayer {
    let fixture = fixture ?? self.fixture, model = try fixture.model(edits)
    return try MoELayer(
      model, block: model.block(prefix: fixture.prefix()), on: LayerFixture.machine, layout: .panels,
      packedCache: PackedCache(folder: folder.path, mode: mode))
  }

  private func bits(_ layer: MoELayer) throws -> [[UInt32]] { try layer.bits(fixture.input().states) }

  @Test func aLayerHasTheSameBitsFromItsFile() throws {
    let plain = try fixture.layer(layout: .panels), expected = try bits(plain)
    #expect(plain.packedCache == nil)
    let first = try layer()
    #expect(first.packedCache?.source == .packed && first.packedCache?.refused == nil)
    #expect(try bits(first) == expected)
    #expect(try folder.names == [URL(fileURLWithPath: try #require(first.packedCache).path).lastPathComponent])
    for mode in [LoadMode.mapped, .copied] {
      let next = try layer(nil, mode)
      #expect(next.packedCache?.source == .read && next.packedCache?.refused == nil)
      #expect(next.weights.experts.experts[0].up.layout == .panels)
      #expect(try bits(next) == expected)
    }
  }

  /// Every kind of weights with panels, matrices that stay in rows beside them, scales beside the codes.
  @Test(arguments: ["gpt_oss_mxfp4", "qwen2_moe", "mixtral_f16", "deepseek_v3_fp8", "qwen3_moe_awq", "switch_transformers"])
  func otherLayersToo(_ name: String) throws {
    let fixture = try LayerFixture.named(name), states = try fixture.input().states
    let expected = try fixture.layer(layout: .panels).bits(states)
    #expect(try layer(fixture).bits(states) == expected)
    let next = try layer(fixture)
    #expect(try next.bits(states) == expected)
    let hasPanels = next.weights.experts.experts[0].up.layout == .panels
    #expect(next.packedCache?.source == (hasPanels ? .read : nil))
    #expect(try folder.names.isEmpty == !hasPanels)
  }

  @Test func aFileThatIsSettledIsNotComparedAgain() throws {
    let path = try folder.settledCopy(of: fixture)
    let copy = LayerFixture(path: path)
    #expect(try layer(copy).packedCache?.comparedSource == false)
    #expect(try layer(copy).packedCache?.comparedSource == false)
    // The same bytes in another file: compared once, then known.
    let moved = LayerFixture(path: try folder.settledCopy(of: fixture))
    #expect(try layer(moved).packedCache?.comparedSource == true)
    let again = try layer(moved)
    #expect(again.packedCache?.source == .read && again.packedCache?.comparedSource == false)
  }

  @Test func aByteInEveryRegionMatters() throws {
    let expected = try bits(fixture.layer(layout: .panels)), path = try #require(try layer().packedCache).path
    let whole = try Data(contentsOf: URL(fileURLWithPath: path)), panels = 2 << 20
    #expect(whole.count > panels)
    // Header field by field, description, checksums of blocks, panels. The identity at 56 only makes the checkpoint be compared.
    for offset in [0, 7, 8, 12, 16, 24, 32, 40, 48, 72, 100, panels, panels + 1000, whole.count - 1] {
      var damaged = whole
      damaged[offset] ^= 0x10
      try damaged.write(to: URL(fileURLWithPath: path))
      let layer = try layer(nil, offset % 2 == 0 ? .mapped : .copied)
      #expect(layer.packedCache?.source == .packed && layer.packedCache?.refused != nil, "byte \(offset): \(layer.packedCache as Any)")
      #expect(try bits(layer) == expected, "byte \(offset)")
      #expect(try Data(contentsOf: URL(fileURLWithPath: path)).dropFirst(72) == whole.dropFirst(72), "byte \(offset) is not mended")
    }
    for offset in [56, 64] {
      var damaged = whole
      damaged[offset] ^= 1
      try damaged.write(to: URL(fileURLWithPath: path))
      let report = try layer().packedCache
      #expect(report?.source == .read && report?.comparedSource == true, "byte \(offset): \(report as Any)")
    }
  }

  @Test func everyLengthButTheRightOneIsRefused() throws {
    let path = try #require(try layer().packedCache).path, whole = try Data(contentsOf: URL(fileURLWithPath: path))
    for length in [0, 1, 71, 72, 80, 4096, 2 << 20, whole.count - 1] {
      try whole.prefix(length).write(to: URL(fileURLWithPath: path))
      let report = try #require(try layer().packedCache)
      #expect(report.source == .packed && report.refused != nil, "\(length) bytes")
    }
    try (whole + [0]).write(to: URL(fileURLWithPath: path))
    #expect(try layer().packedCache?.refused != nil)
    #expect(try layer().packedCache?.source == .read)
  }

  /// Headers whose checksums fit: the numbers themselves are what is refused.
  @Test func anotherVersionLayoutOrSizeIsRefused() throws {
    let path = try #require(try layer().packedCache).path, whole = try Data(contentsOf: URL(fileURLWithPath: path))
    for (offset, text) in [(8, "'version'"), (12, "'layout of panels'"), (16, "'description'"), (24, "'panels'")] {
      for value in [UInt8(0x77), 0xFF] {
        var forged = whole
        for byte in offset..<offset + (offset < 16 ? 4 : 8) { forged[byte] = value }
        let sum = Array(forged.prefix(48)).withUnsafeBytes { Checksum.of($0) }
        withUnsafeBytes(of: sum.littleEndian) { forged.replaceSubrange(48..<56, with: $0) }
        try forged.write(to: URL(fileURLWithPath: path))
        let refused = try #require(try layer().packedCache).refused
        #expect(refused.map { "\($0)".contains(text) } == true, "\(offset): \(refused as Any)")
      }
    }
  }

  @Test func otherKindsOfFilesAreReplacedOrSaid() throws {
    let path = try #require(try layer().packedCache).path
    try FileManager.default.removeItem(atPath: path)
    #expect(mkfifo(path, 0o600) == 0)
    let fifo = try #require(try layer().packedCache)
    #expect(fifo.source == .packed && fifo.refused != nil)
    try FileManager.default.removeItem(atPath: path)
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    let report = try #require(try layer().packedCache)
    guard case .packedOnly(.system(_, "rename", _)) = report.source else { return #expect(Bool(false), "\(report)") }
    #expect(report.refused != nil)
    #expect(try folder.names.count == 1)
  }

  @Test func aChangedCheckpointIsPackedAgain() throws {
    let path = try folder.settledCopy(of: fixture), copy = LayerFixture(path: path)
    let first = try layer(copy), states = try fixture.input().states
    #expect(first.packedCache?.source == .packed)
    // One byte far from what names the file, times set back as they were.
    let up = try #require(try SafetensorsFile(path: path).tensor("\(fixture.prefix()).experts.7.up_proj.weight"))
    let bytes = try Data(contentsOf: URL(fileURLWithPath: path)), place = try #require(bytes.firstRange(of: Data(up.bytes))).lowerBound
    let times = try FileManager.default.attributesOfItem(atPath: path)[.modificationDate]
    let handle = try #require(FileHandle(forUpdatingAtPath: path))
    try handle.seek(toOffset: UInt64(place + 3))
    try handle.write(contentsOf: [bytes[place + 3] ^ 0x40])
    try handle.close()
    try FileManager.default.setAttributes([.modificationDate: times as Any], ofItemAtPath: path)
    let changed = try layer(copy)
    #expect(changed.packedCache?.source == .packed && changed.packedCache?.refused != nil)
    #expect(changed.packedCache?.path == first.packedCache?.path)
    #expect(try changed.bits(states) == copy.layer(layout: .panels).bits(states))
    #expect(try layer(copy).bits(states) == changed.bits(states))
  }

  @Test func anotherModelOfTheSameShapesHasItsOwnFile() throws {
    let name = "\(try fixture.prefix()).experts.3.up_proj.weight", states = try fixture.input().states
    let original = try #require(try SafetensorsFile(path: fixture.path).tensor(name))
    let edits = TensorEdits(replaced: [name: try .zeros(name, original.type, original.shape)])
    let own = try layer(), other = try layer(nil, .mapped, edits)
    #expect(other.packedCache?.source == .packed && other.packedCache?.path != own.packedCache?.path)
    #expect(try other.bits(states) == fixture.layer(layout: .panels, edits).bits(states))
    #expect(try layer().packedCache?.source == .read)
    #expect(try layer(nil, .mapped, edits).packedCache?.source == .read)
  }

  @Test func manyWritersAtOnce() async throws {
    let expected = try bits(fixture.layer(layout: .panels))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<12 {
        group.addTask {
          for _ in 0..<4 {
            let layer = try layer()
            #expect(try bits(layer) == expected)
            #expect(layer.packedCache?.refused == nil)
            if case .packedOnly(let error) = layer.packedCache?.source { #expect("\(error)".contains("flock")) }
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(try folder.names.count == 1)
    #expect(try layer().packedCache?.source == .read)
  }

  @Test func aFileBeingWrittenElsewhereIsLeftAlone() throws {
    let path = try #require(try layer().packedCache).path
    try FileManager.default.removeItem(atPath: path)
    let other = open(path + ".partial", O_WRONLY | O_CREAT, 0o644)
    #expect(other >= 0 && flock(other, LOCK_EX | LOCK_NB) == 0)
    guard case .packedOnly(.system(_, "flock", _)) = try #require(try layer().packedCache).source else { return #expect(Bool(false)) }
    #expect(try folder.names.map { URL(fileURLWithPath: $0).pathExtension } == ["partial"])
    // What a writer that was killed left behind is used and gone.
    close(other)
    #expect(try layer().packedCache?.source == .packed)
    #expect(try folder.names.map { URL(fileURLWithPath: $0).pathExtension } == ["panels"])
  }

  @Test func aFolderThatCannotBeWrittenIsSaid() throws {
    let path = try #require(try layer().packedCache).path, expected = try bits(fixture.layer(layout: .panels))
    try FileManager.default.removeItem(atPath: path)
    try FileManager.default.createDirectory(atPath: path + ".partial", withIntermediateDirectories: true)
    let layer = try layer()
    guard case .packedOnly(.system(_, "open", _)) = try #require(layer.packedCache).source else { return #expect(Bool(false)) }
    #expect(try bits(layer) == expected)
  }

  @Test(arguments: ["", "a\0b", "/nonexistent/folder/deep", LayerFixture.root + "/olmoe.safetensors", LayerFixture.root + "/olmoe.safetensors/x"])
  func whatIsNoFolderIsAnError(_ path: String) { #expect(throws: MoEError.self) { try PackedCache(folder: path) } }

  @Test func layersInRowsNeedNone() throws {
    let model = try fixture.model(), block = try model.block(prefix: fixture.prefix()), cache = try PackedCache(folder: folder.path)
    #expect(try MoELayer(model, block: block, on: LayerFixture.machine, layout: .rows, packedCache: cache).packedCache == nil)
    #if OpenBLAS
      #expect(try MoELayer(model, block: block, on: LayerFixture.machine, device: .blas, packedCache: cache).packedCache == nil)
    #endif
    #expect(try folder.names.isEmpty)
  }
}

/// A folder for one test, removed with its content.
final class CacheFolder: Sendable {
  let path: String
  private let sources: String

  init() throws {
    let root = FileManager.default.temporaryDirectory.path
    (path, sources) = ("\(root)/moe-cache-\(UUID().uuidString)", "\(root)/moe-source-\(UUID().uuidString)")
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try FileManager.default.createDirectory(atPath: sources, withIntermediateDirectories: true)
  }

  deinit { for folder in [path, sources] { try? FileManager.default.removeItem(atPath: folder) } }

  var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() } }

  /// A copy of the fixture's file that is old enough for its times to tell every later change.
  func settledCopy(of fixture: LayerFixture) throws -> String {
    let copy = "\(sources)/\(UUID().uuidString).safetensors"
    try FileManager.default.copyItem(atPath: fixture.path, toPath: copy)
    Thread.sleep(forTimeInterval: 2.1)
    return copy
  }
}
