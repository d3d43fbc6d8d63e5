// Every kind of weight matrix on every OpenCL device: what the CPU computes, in no more memory than the published weights.

import MoE
import MoEOpenCL
import MoETensors
import Testing

@Suite struct OpenCLFormatTests {
  /// Matrices of one kind, by rows, columns and a number that tells them apart.
  struct Kind: CustomTestStringConvertible, Sendable {
    let testDescription: String
    var hidden = 512, intermediate = 256
    /// True when matrices of one product are of several kinds, which devices multiply on f32 activations alone.
    var isMixed = false
    let matrix: @Sendable (_ rows: Int, _ columns: Int, _ number: Int) throws -> PackedMatrix
  }

  static let kinds: [Kind] =
    WeightFormat.all.map { format in Kind(testDescription: format.name) { try blocks(format, $0, $1, $2) } } + [
      Kind(testDescription: "odd f32", hidden: 37, intermediate: 29) { try blocks(.f32, $0, $1, $2) },
      Kind(testDescription: "odd bf16", hidden: 259, intermediate: 301) { try blocks(.bf16, $0, $1, $2) },
      Kind(testDescription: "odd f8_e4m3 by rows", hidden: 259, intermediate: 301) { try float8("f8_e4m3", $0, $1, $2, [$0, 1], block: nil) },
      Kind(testDescription: "odd f8_e5m2 by blocks", hidden: 259, intermediate: 301) { rows, columns, number in
        try float8("f8_e5m2", rows, columns, number, [(rows + 4) / 5, (columns + 11) / 12], block: [5, 12])
      },
      Kind(testDescription: "nvfp4 by factors") { try blocks(WeightFormat(named: "nvfp4")!, $0, $1, $2, factor: Float($2 % 5 + 3) / 7) },
      Kind(testDescription: "e2m1 by e4m3 and factors") { try nvfp4($0, $1, $2, factor: Float($2 % 5 + 3) / 7) },
      Kind(testDescription: "flat nf4", hidden: 262, intermediate: 106) { try flat($0, $1, $2, block: 64) },
      Kind(testDescription: "flat nf4 by 10", hidden: 256, intermediate: 128) { try flat($0, $1, $2, block: 10) },
      Kind(testDescription: "gptq in act-order", hidden: 128, intermediate: 96) { try gptq($0, $1, $2) },
      Kind(testDescription: "formats side by side", isMixed: true) { try blocks(WeightFormat.all[$2 % 8 * 3 + 2], $0, $1, $2) },
      Kind(testDescription: "scales of several types", hidden: 96, intermediate: 64, isMixed: true) { rows, columns, number in
        switch number % 4 {
        case 0: try gptq(rows, columns, number)
        case 1: try float8("f8_e4m3", rows, columns, number, [rows, 1], block: nil)
        case 2: try flat(rows, columns, number, block: 40)
        default: try blocks(.bf16, rows, columns, number)
        }
      },
    ]

  /// Kinds that tiles multiply on int8 activations here, one of each way to make quads; `scripts/opencl-check` does so with all.
  static let inTiles: Set = ["q4_0", "q4_k", "q6_k", "iq4_nl", "e2m1 by e4m3 and factors"]
  /// Kinds with levels for half arithmetic.
  static let inHalf: Set = ["q4_0", "q2_k", "q3_k", "tq1_0", "tq2_0"]
  /// Kinds whose few rows emulated subgroups multiply, with a scale every 32 columns and every 16.
  static let onSubgroups: Set = ["q4_0", "q6_k"]
  /// Kinds for what tensor cores do: scales of 32 columns beside minima, and of 16.
  static let inMatrices: Set = ["q4_k", "q6_k"]

  @Test(arguments: kinds) func devicesReadTheMatricesAsTheyLie(_ kind: Kind) throws {
    var random = RandomNumbers(seed: 7)
    let fixture = try LayerFixture.named("qwen3_moe"), base = try fixture.layer()
    var configuration = base.configuration
    (configuration.hidden, configuration.expertHidden, configuration.intermediate) = (kind.hidden, kind.hidden, kind.intermediate)
    let experts = try (0..<configuration.experts).map { expert in
      Expert(
        gate: try kind.matrix(kind.intermediate, kind.hidden, 3 * expert), up: try kind.matrix(kind.intermediate, kind.hidden, 3 * expert + 1),
        down: try kind.matrix(kind.hidden, kind.intermediate, 3 * expert + 2))
    }
    var weights = base.weights
    weights.experts = try ExpertBank(experts, activation: configuration.activation)
    weights.router = try Router(
      configuration.router, weight: (0..<configuration.experts * kind.hidden).map { _ in random.value() }, hidden: kind.hidden)
    let states = try HiddenStates((0..<20 * kind.hidden).map { _ in random.value() }, tokens: 20, hidden: kind.hidden)
    func onCPU(_ activations: ActivationPrecision) throws -> MoELayer {
      try MoELayer(configuration: configuration, weights: weights, on: LayerFixture.machine, activations: activations, layout: .panels)
    }
    let expected = try onCPU(.float)(states).values, onInt8 = try onCPU(.int8)
    // What a program's test takes, or an eighth more than the weights and some rows.
    let limit = max(4 << 20, weights.residentBytes / 8 * 9 + 1 << 18)
    for (index, properties) in try OpenCL.devices().enumerated() {
      let device = MoELayer.Device.openCL(index)
      func has(_ name: String) -> Bool { properties.extensions.contains(name) }
      let options = OpenCLOptions(memoryLimit: limit, deadline: .seconds(60), programs: ProgramCache(folder: OpenCLTests.programs))
      let machine = try Machine.current(threads: 1, openCL: options)
      let layer = try MoELayer(configuration: configuration, weights: weights, on: machine, device: device), found = try layer(states).values
      #expect(machine.failures == OpenCLTests.machine.failures)
      #expect(agree(found, expected), "\(device)")
      var tiles = options
      tiles.usesPanels = false
      func by(_ products: RoundedProducts) -> OpenCLOptions {
        var options = tiles
        options.roundedProducts = products
        return options
      }
      let few = try states.rows([3, 7])
      var rounding = [options]
      if Self.inTiles.contains(kind.testDescription) { rounding.append(tiles) }
      if has("cl_khr_fp16"), Self.inHalf.contains(kind.testDescription) { rounding.append(by(.dots(.half))) }
      if Self.onSubgroups.contains(kind.testDescription) { rounding.append(by(.dots(.plain, .emulated))) }
      if Self.inMatrices.contains(kind.testDescription) { rounding.append(by(.matrices(.emulated, .int8))) }
      for options in onInt8.activations == .int8 && !kind.isMixed ? rounding : [] {
        let machine = try Machine.current(threads: 1, openCL: options)
        let layer = try MoELayer(configuration: configuration, weights: weights, on: machine, device: device, activations: .int8)
        #expect(try layer.activations == .int8 && roundAlike(layer(states).values, onInt8(states).values), "\(device) on int8")
        #expect(try layer.bits(few) == [3, 7].map { try layer.bits(states)[$0] })
        #expect(machine.failures == OpenCLTests.machine.failures)
      }
      for options in weights.experts.gateUpFormats == [.bf16] && !kind.isMixed ? [options, tiles, by(.matrices(.emulated, .bfloat16))] : [] {
        let machine = try Machine.current(threads: 1, openCL: options)
        let layer = try MoELayer(configuration: configuration, weights: weights, on: machine, device: device, activations: .bfloat16)
        #expect(try layer.activations == .bfloat16 && roundAlike(layer(states).values, expected, within: 0x1p-14), "\(device) on bfloat16")
        #expect(try layer.bits(few) == [3, 7].map { try layer.bits(states)[$0] })
        #expect(machine.failures == OpenCLTests.machine.failures)
      }
    }
  }
}

/// Blocks of any bytes whose values are neither large nor all small, without scales beside them.
private func blocks(_ format: WeightFormat, _ rows: Int, _ columns: Int, _ number: Int, factor: Float = 1) throws -> PackedMatrix {
  var random = RandomNumbers(seed: UInt64(number + 1))
  let buffer = AlignedBuffer(byteCount: try format.bytes(values: rows * columns))
  for start in stride(from: 0, to: buffer.bytes.count, by: format.blockBytes) {
    let block = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[start..<start + format.blockBytes])
    var decoded: [Float]
    repeat {
      for byte in block.indices { block[byte] = random.byte() }
      decoded = try format.decode(UnsafeRawBufferPointer(block), count: format.blockValues)
    } while !decoded.allSatisfy { abs($0) < 16 } || decoded.allSatisfy { abs($0) < 0x1p-8 }
  }
  return try PackedMatrix(rowsOf: view(.weights(format), [rows, columns], buffer), .init(count: rows), factor: factor)
}

private func nvfp4(_ rows: Int, _ columns: Int, _ number: Int, factor: Float) throws -> PackedMatrix {
  var random = RandomNumbers(seed: UInt64(number + 1))
  let codes = (0..<rows * columns / 2).map { _ in random.byte() }, type = try #require(WeightFormat(named: "f8_e4m3"))
  let scales = try type.encode((0..<rows * columns / 16).map { _ in 1 + random.value() / 2 })
  return try PackedMatrix(
    nvfp4: view(.u8, [rows, columns / 2], codes), scales: view(.weights(type), [rows, columns / 16], scales), global: view(.f32, [1], [factor]))
}

private func float8(_ format: String, _ rows: Int, _ columns: Int, _ number: Int, _ shape: [Int], block: [Int]?) throws -> PackedMatrix {
  var random = RandomNumbers(seed: UInt64(number + 1))
  let format = try #require(WeightFormat(named: format))
  let codes = try format.encode((0..<rows * columns).map { _ in random.value() })
  return try PackedMatrix(float8: view(.weights(format), [rows, columns], codes), scales: scales(shape, &random), block: block)
}

private func flat(_ rows: Int, _ columns: Int, _ number: Int, block: Int) throws -> PackedMatrix {
  var random = RandomNumbers(seed: UInt64(number + 1))
  let codes = (0..<rows * columns / 2).map { _ in random.byte() }
  return try PackedMatrix(
    nf4: view(.u8, [codes.count], codes), absmax: scales([(rows * columns + block - 1) / block], &random), rows: rows, columns: columns,
    blockSize: block)
}

private func gptq(_ rows: Int, _ columns: Int, _ number: Int) throws -> PackedMatrix {
  var random = RandomNumbers(seed: UInt64(number + 1))
  let groups = columns / 32, codes = (0..<columns / 2 * rows).map { _ in random.byte() }
  let zeros = (0..<groups * rows / 2).map { _ in random.byte() & 0x77 }
  let order = (0..<columns).map { Int32($0 * 5 % columns / 32) }
  return try PackedMatrix(
    gptq: view(.i32, [columns / 8, rows], codes), zeros: view(.i32, [groups, rows / 8], zeros), scales: scales([groups, rows], &random),
    groupIndex: view(.i32, [columns], order))
}

private func scales(_ shape: [Int], _ random: inout RandomNumbers) throws -> TensorView {
  try view(.f32, shape, (0..<shape.reduce(1, *)).map { _ in 1 + random.value() / 2 })
}

private func view<Element: BitwiseCopyable>(_ type: ElementType, _ shape: [Int], _ values: [Element]) throws -> TensorView {
  let buffer = AlignedBuffer(byteCount: values.count * MemoryLayout<Element>.stride)
  values.withUnsafeBytes { buffer.bytes.copyMemory(from: $0) }
  return try view(type, shape, buffer)
}

private func view(_ type: ElementType, _ shape: [Int], _ buffer: AlignedBuffer) throws -> TensorView {
  try TensorView(name: "weights", type: type, shape: shape, bytes: UnsafeRawBufferPointer(buffer.bytes), owner: buffer)
}

/// The same numbers for the same seed.
private struct RandomNumbers {
  private var state: UInt64

  init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 }

  mutating func byte() -> UInt8 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return UInt8(truncatingIfNeeded: state >> 40)
  }

  /// Between -1 and 1.
  mutating func value() -> Float { Float(Int(byte()) - 128) / 128 + Float(byte()) * 0x1p-16 }
}
