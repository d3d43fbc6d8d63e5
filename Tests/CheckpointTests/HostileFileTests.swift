// Truncation at every byte and random damage: an error or a whole file, never a signal.

import Foundation
import MoECheckpoint
import MoEReference
import MoETensors
import Testing

@Suite struct HostileFileTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  private var sample: [UInt8] {
    safetensors(
      #"{"__metadata__":{"format":"pt","é":"\u00e9"},"model.layers.0.w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"i":{"dtype":"I64","shape":[],"data_offsets":[32,40]}}"#,
      data: 40)
  }

  private var ggufSample: [UInt8] {
    var raw = RawGGUF()
    let type = { (number: UInt32) in littleEndian(number) }
    raw.keys = [
      ("general.architecture", type(8) + RawGGUF.string("llama")), ("general.alignment", RawGGUF.u32(32)),
      ("tokens", RawGGUF.array(8, count: 3, RawGGUF.string("a") + RawGGUF.string("bc") + RawGGUF.string(""))),
      ("scores", RawGGUF.array(6, count: 2, [UInt8](repeating: 1, count: 8))), ("flag", type(7) + [1]),
      ("nested", RawGGUF.array(9, count: 1, littleEndian(UInt32(0)) + littleEndian(UInt64(2)) + [1, 2])), ("eps", type(12) + littleEndian(Double(1).bitPattern)),
    ]
    raw.tensors = [
      .init(name: "blk.0.w", dimensions: [32, 2], type: 8, offset: 0), .init(name: "blk.0.b", dimensions: [16], type: 1, offset: 96),
      .init(name: "blk.0.c", dimensions: [4, 2], offset: 128),
    ]
    raw.data = 160
    return raw.bytes
  }

  @Test func truncationAtEveryByte() throws {
    for (name, bytes) in [("x.safetensors", sample), ("x.gguf", ggufSample)] {
      for length in 0..<bytes.count {
        #expect(try outcome(of: Array(bytes.prefix(length)), name, in: folder) != nil, "\(name) of \(length) bytes")
      }
      #expect(try outcome(of: bytes, name, in: folder) == nil)
    }
  }

  @Test func truncatedFixtures() throws {
    for name in ["moe_q8_0.gguf", "mixtral_bf16.safetensors"] {
      let bytes = try Fixtures.bytes(name)
      let end = name.hasSuffix("gguf") ? bytes.count - 64 : bytes.count - 1
      var random = SeededRandom(seed: 11)
      for _ in 0..<200 {
        let length = Int.random(in: 0...end, using: &random)
        #expect(try outcome(of: Array(bytes.prefix(length)), name, in: folder, modes: [.mapped]) != nil, "\(name) of \(length) bytes")
      }
    }
  }

  @Test(arguments: ["x.safetensors", "x.gguf"], [20_240_611])
  func randomDamage(_ name: String, _ seed: UInt64) throws {
    let original = name == "x.gguf" ? ggufSample : sample
    var random = SeededRandom(seed: seed)
    var opened = 0
    for round in 0..<5000 {
      var bytes = original
      for _ in 0..<Int.random(in: 1...4, using: &random) { damage(&bytes, &random) }
      // Copied for every tenth: the parser is the same, the way in is not.
      let modes: [LoadMode] = round % 10 == 0 ? [.mapped, .copied] : [.mapped]
      if try outcome(of: bytes, name, in: folder, modes: modes) == nil { opened += 1 }
    }
    print("\(name): seed \(seed), 5000 damaged files, \(opened) opened, \(5000 - opened) refused")
  }

  private static let extremes: [UInt64] = [
    0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, 1 << 40, 1 << 60, (1 << 61) - 1, 1 << 62, (1 << 63) - 1, 1 << 63,
    .max - 31, .max - 1, .max,
  ]

  private func damage(_ bytes: inout [UInt8], _ random: inout SeededRandom) {
    // Heads are small: half of the damage goes to the first 400 bytes.
    let end = Bool.random(using: &random) ? min(bytes.count, 400) : bytes.count
    guard end > 8 else { return }
    let place = Int.random(in: 0..<end, using: &random)
    switch Int.random(in: 0..<6, using: &random) {
    case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
    case 2: bytes.insert(contentsOf: (0..<Int.random(in: 1...16, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }, at: place)
    case 3: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...16, using: &random)))
    case 4:
      let value = littleEndian(Self.extremes.randomElement(using: &random) ?? 0)
      for (index, byte) in value.enumerated() where place + index < bytes.count { bytes[place + index] = byte }
    default:
      // A piece of the file over another piece: well-formed parts in wrong places.
      let from = Int.random(in: 0..<bytes.count, using: &random)
      for index in 0..<min(24, bytes.count - max(from, place)) { bytes[place + index] = bytes[from + index] }
    }
  }

  /// Header of `count` tensors of one byte each.
  private func many(_ count: Int) -> [UInt8] {
    var text = "{"
    for index in 0..<count {
      if index > 0 { text += "," }
      text += "\"model.layers.\(index).weight\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[\(index),\(index + 1)]}"
    }
    return safetensors(text + "}", data: count)
  }

  private func manyGGUF(_ count: Int) -> [UInt8] {
    var raw = RawGGUF()
    raw.alignment = 1
    raw.keys = [("general.alignment", RawGGUF.u32(1))] + (0..<count).map { ("key.\($0)", RawGGUF.u32(1)) }
    raw.tensors = (0..<count).map { .init(name: "blk.\($0).w", dimensions: [1], type: 24, offset: UInt64($0)) }
    raw.data = count
    return raw.bytes
  }

  /// Processor time of this thread, which other work on the machine does not lengthen; the least of three.
  private func seconds(_ body: () throws -> Bool) throws -> Double {
    func now() -> Double {
      var time = timespec()
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
      return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
    var best = Double.infinity
    for _ in 0..<3 {
      let start = now()
      let right = try body()
      best = min(best, now() - start)
      #expect(right)
    }
    return best
  }

  @Test func workIsLinearInTheNumberOfTensors() throws {
    var times: [Double] = []
    for count in [100_000, 200_000] {
      let path = try folder.write(many(count), "x.safetensors")
      times.append(try seconds { try SafetensorsFile(path: path).tensorNames.count == count })
    }
    for count in [100_000, 200_000] {
      let path = try folder.write(manyGGUF(count), "x.gguf")
      times.append(try seconds { try GGUFFile(path: path).tensorNames.count == count })
    }
    print("safetensors: 100k tensors \(times[0]) s, 200k \(times[1]) s; GGUF: 100k tensors and keys \(times[2]) s, 200k \(times[3]) s")
    #expect(times[1] < 4 * times[0])
    #expect(times[3] < 4 * times[2])
  }

  @Test func tensorsInAnyOrderOfOffsets() throws {
    let header = (0..<50).reversed().map { "\"t\($0)\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[\($0 * 2),\($0 * 2 + 2)]}" }.joined(separator: ",")
    let file = try SafetensorsFile(path: try folder.write(safetensors("{\(header)}", data: 100), "x.safetensors"))
    #expect(file.tensorNames == (0..<50).map { "t\($0)" })
    #expect(try file.tensor("t7").map { Array($0.bytes) } == [14, 15])
  }
}
