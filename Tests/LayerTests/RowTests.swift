// Rows of other types and strides in and out; what lies between them stays as it was.

import MoE
import Testing

@Suite struct RowTests {
  static let types: [WeightFormat] = [.f32, .f16, .bf16]

  /// Bytes of rows `stride` elements apart, `fill` between them.
  private func bytes(_ states: HiddenStates, _ type: WeightFormat, stride: Int, fill: UInt8) throws -> [UInt8] {
    var bytes = [UInt8](repeating: fill, count: states.tokens * stride * type.blockBytes)
    for token in 0..<states.tokens {
      let row = try type.encode(Array(states[token])), start = token * stride * type.blockBytes
      bytes.replaceSubrange(start..<start + row.count, with: row)
    }
    return bytes
  }

  @Test(arguments: ["qwen2_moe_all", "granitemoe", "llama4", "gpt_oss_mxfp4", "deepseek_v3_fp8", "qwen3_moe_gptq_act", "nemotron_h_latent_awkward"], types)
  func typesAndStrides(_ name: String, _ input: WeightFormat) throws {
    let fixture = try LayerFixture.named(name), layer = try fixture.layer(), states = try fixture.input().states
    let hidden = states.hidden, tokens = states.tokens
    let rounded = try input.encode(states.values).withUnsafeBytes { try input.decode($0, count: states.values.count) }
    let expected = try layer(HiddenStates(rounded, tokens: tokens, hidden: hidden))
    for output in Self.types {
      for (inStride, outStride) in [(hidden, hidden), (hidden + 1, hidden + 3), (2 * hidden, hidden), (hidden, hidden + 16)] {
        // 0xFF fills are NaN in all three types: reading between rows would show.
        let from = try bytes(states, input, stride: inStride, fill: 0xff)
        var to = [UInt8](repeating: 0xa5, count: (tokens * outStride + 8) * output.blockBytes)
        try from.withUnsafeBytes { from in
          try to.withUnsafeMutableBytes { to in
            _ = try layer.forward(
              RowView(from.baseAddress!, input, count: tokens, columns: hidden, stride: inStride),
              into: MutableRowView(to.baseAddress! + 4 * output.blockBytes, output, count: tokens, columns: hidden, stride: outStride))
          }
        }
        let width = output.blockBytes
        var wanted = [UInt8](repeating: 0xa5, count: to.count)
        for token in 0..<tokens {
          let start = (4 + token * outStride) * width
          wanted.replaceSubrange(start..<start + hidden * width, with: try output.encode(Array(expected[token])))
        }
        #expect(to == wanted, "\(input) stride \(inStride) to \(output) stride \(outStride)")
      }
    }
  }

  @Test func rowsAreChecked() {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 64)
    defer { memory.deallocate() }
    #expect(throws: ShapeError.self) { try RowView(memory, WeightFormat(named: "q8_0")!, count: 1, columns: 32) }
    #expect(throws: ShapeError.self) { try RowView(memory, count: -1, columns: 4) }
    #expect(throws: ShapeError.self) { try RowView(memory, count: 1, columns: 0) }
    #expect(throws: ShapeError.self) { try RowView(memory, count: 2, columns: 8, stride: 7) }
    #expect(throws: ShapeError.self) { try RowView(memory, count: .max, columns: 8) }
    #expect(throws: ShapeError.self) { try MutableRowView(memory, count: 2, columns: 8, stride: .max) }
    #expect(throws: Never.self) { try MutableRowView(memory, .f16, count: 0, columns: 8) }
  }

  /// Rows start at a whole element: an f32 at a multiple of four bytes, f16 and bf16 at a multiple of two.
  @Test func misalignedRowsAreRefused() {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 64)
    defer { memory.deallocate() }
    for (type, shift) in [(WeightFormat.f32, 1), (.f32, 2), (.f16, 1), (.bf16, 1)] {
      #expect(throws: ShapeError.self) { try RowView(memory + shift, type, count: 2, columns: 8) }
      #expect(throws: ShapeError.self) { try MutableRowView(memory + shift, type, count: 2, columns: 8) }
    }
    #expect(throws: Never.self) { try RowView(memory + 2, .bf16, count: 2, columns: 8) }
    #expect(throws: Never.self) { try RowView(memory + 4, .f32, count: 2, columns: 8) }
  }

  @Test func hiddenStatesHaveTheirShape() {
    for (count, tokens, hidden) in [(6, 2, 4), (0, 1, 4), (8, -2, -4), (0, 0, 0), (0, 1 << 62, 4), (4, -1, 4)] {
      #expect(throws: MoEError.self) { try HiddenStates([Float](repeating: 0, count: count), tokens: tokens, hidden: hidden) }
    }
  }

  @Test func otherShapesAreRefused() throws {
    let layer = try LayerFixture.named("qwen3_moe").layer(), hidden = layer.hidden
    func message(_ body: () throws -> Void) -> String {
      do { try body() } catch { return "\(error)" }
      return "no error"
    }
    let narrow = try HiddenStates([Float](repeating: 0, count: 3 * (hidden - 1)), tokens: 3, hidden: hidden - 1)
    #expect(message { _ = try layer(narrow) } == "expected rows of shape [3, \(hidden)], found [3, \(hidden - 1)]")
    #expect(message { _ = try layer.route(narrow) } == "expected rows of shape [3, \(hidden)], found [3, \(hidden - 1)]")
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 16 * hidden * 4, alignment: 64)
    defer { memory.deallocate() }
    let rows = try RowView(memory, count: 3, columns: hidden)
    for (count, columns) in [(2, hidden), (3, hidden + 1), (4, hidden)] {
      let out = try MutableRowView(memory + 4 * hidden * 4, count: count, columns: columns)
      #expect(message { try layer.forward(rows, into: out) } == "expected rows of shape [3, \(hidden)], found [\(count), \(columns)]")
    }
    let out = try MutableRowView(memory + 4 * hidden * 4, count: 3, columns: hidden)
    let short = try RouterOutput(experts: 16, topK: 1, expertIDs: [0, 1], weights: [1, 1])
    let wide = try RouterOutput(experts: 17, topK: 1, expertIDs: [0, 1, 16], weights: [1, 1, 1])
    for routing in [short, wide] {
      do {
        try layer.forward(rows, into: out, routing: routing)
        Issue.record("accepted")
      } catch { guard case .routing(.shape) = error else { throw error } }
    }
  }
}
