// A variant's test before its first use: drivers compile some kernels wrongly, and say nothing.

#if OpenCL
import CMoEKernels
import CMoEOpenCL
import MoEDispatch
import MoEPlacement
import MoETensors

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// One gated expert of random weights on random rows, by every kernel of a program, against sums in double precision.
struct SelfTest {
  private let variant: KernelVariant
  /// Parts of groups and tiles, runs of columns for more than one round of lanes, a tile of few rows beside whole ones.
  private let rows = 70, columns = 2304, tokens = 131
  private let checked = [0, 1, 15, 40, 63, 64, 127, 128, 130]
  private let coefficient: Float = 0.75
  /// Of a product's error beside the norms of its rows; on bf16 tensor cores cut off what others round.
  private var bound: Double { variant.products?.usesMatrices == true && variant.products?.precision == .bfloat16 ? 4e-5 : 1e-5 }

  init(_ variant: KernelVariant) { self.variant = variant }

  /// - Throws: `OpenCLError` that names the kernel and the first value that differs.
  func run(_ program: DeviceProgram, on context: OpenCLContext) throws(OpenCLError) {
    for (up, gate) in zip(variant.kinds, variant.kinds.dropFirst() + [variant.kinds[0]]) { try run(program, up: up, gate: gate, on: context) }
  }

  private func run(_ program: DeviceProgram, up: MatrixKind, gate: MatrixKind, on context: OpenCLContext) throws(OpenCLError) {
    var random = Random()
    // Scales of whole groups of eight columns, and others.
    let matrices = [matrix(of: up, group: 32, &random), matrix(of: gate, group: variant.products == nil ? 12 : 64, &random)]
    let biases = (0..<2 * rows).map { _ in random.next() }, (input, rounded) = input(&random)
    let product = try DeviceProduct(
      up: matrices[0], gate: matrices[1], biases: biases,
      ProductRole(activation: moe_expert_activation(kind: MOE_SILU, limit: .infinity, alpha: 1), segment: 768), by: (variant, program), in: context)
    let pass = DevicePass(context), plan = DispatchPlan(everyToken: .init(repeating: coefficient, count: tokens))
    var (activated, summed) = ([Float](repeating: .nan, count: tokens * rows), [Float](repeating: .nan, count: tokens * rows))
    try pass.upload(plan, parts: CollectionOfOne(product.experts), program.shape)
    try pass.input.room(4 * input.count, in: context).write(input)
    let size = 4 * activated.count, target = try pass.room(pass.outputs, tokens, rows), result = try pass.room(pass.result, tokens, rows)
    for tiles in pass.plan.tiles { try product.launch(tiles, of: pass, gathers: true, x: pass.input.buffer!, y: target) }
    try product.combine(pass, tokens: tokens, columns: rows, adding: false, weighs: true, scale: 2, into: result)
    try pass.finish()
    try target.read(of: size) { source, _ in activated.withUnsafeMutableBytes { $0.copyMemory(from: .init(start: source, count: size)) } }
    try result.read(of: size) { source, _ in summed.withUnsafeMutableBytes { $0.copyMemory(from: .init(start: source, count: size)) } }
    try compare(activated, summed, matrices, biases, rounded, program.shape, context)
  }

  /// Rows, and what kernels make of them: on int8, halfway between no two codes, and with the same largest in each group, so that no driver's
  /// division changes a code. The last, alone with few others, is the first.
  private func input(_ random: inout Random) -> (rows: [Float], rounded: [Float]) {
    var values = (0..<tokens * columns).map { _ in random.next() }
    values.replaceSubrange((tokens - 1) * columns..<tokens * columns, with: values[..<columns])
    guard let products = variant.products else { return (values, values) }
    if products.precision == .bfloat16 {
      return (values, values.map { Float(bitPattern: ($0.bitPattern + 0x7fff + $0.bitPattern >> 16 & 1) & 0xffff_0000) })
    }
    let codes = values.indices.map { $0 % 32 == 5 ? 127 : (values[$0] * 126).rounded() }
    return (codes.indices.map { (codes[$0] + ($0 % 32 == 5 ? 0 : values[$0] / 4)) / 128 }, codes.map { $0 / 128 })
  }

  private func compare(
    _ activated: [Float], _ summed: [Float], _ matrices: [HostMatrix], _ biases: [Float], _ input: [Float], _ shape: TileShape,
    _ context: OpenCLContext
  ) throws(OpenCLError) {
    let decoded = matrices.map { matrix in
      (0..<rows).map { row in
        [Float](unsafeUninitializedCapacity: columns) { out, count in
          matrix.decode(row: row, out.baseAddress!, into: out.baseAddress!)
          count = columns
        }
      }
    }
    for (first, last) in zip(activated[..<rows], activated[(tokens - 1) * rows..<tokens * rows]) where first != last && variant.products != nil {
      throw wrong(shape.method.product(isFew: true, variant.products), last, Double(first), context)
    }
    for token in checked {
      let x = input[token * columns..<(token + 1) * columns]
      for row in 0..<rows {
        let (up, upNorm) = Self.product(decoded[0][row], x, Double(biases[row]))
        let (gate, gateNorm) = Self.product(decoded[1][row], x, Double(biases[rows + row]))
        let expected = gate / (1 + exp(-gate)) * up, found = activated[token * rows + row]
        let isFew = tokens - token / shape.groupTokens * shape.groupTokens <= shape.few
        let kernel = shape.method.product(isFew: isFew, variant.products)
        guard abs(Double(found) - expected) <= bound * upNorm * gateNorm else { throw wrong(kernel, found, expected, context) }
        let sum = summed[token * rows + row], weighed = found * coefficient * 2
        guard abs(sum - weighed) <= Float.ulpOfOne * abs(weighed) else { throw wrong(.combine, sum, Double(weighed), context) }
      }
    }
  }

  private func wrong(_ kernel: DeviceProgram.Kernel, _ found: Float, _ expected: Double, _ context: OpenCLContext) -> OpenCLError {
    OpenCLError(
      call: kernel.rawValue, status: CL_SUCCESS,
      detail: "self-test of \(variant.name) on \(context.device.name) gave \(found) for \(expected): the variant is not used")
  }

  /// The product and the norm of its parts.
  private static func product(_ weights: [Float], _ x: ArraySlice<Float>, _ bias: Double) -> (value: Double, norm: Double) {
    var sum = bias, squares = bias * bias
    for (w, x) in zip(weights, x) {
      let part = Double(w) * Double(x)
      sum += part
      squares += part * part
    }
    return (sum, max(1, squares.squareRoot()))
  }

  private func matrix(of kind: MatrixKind, group: Int, _ random: inout Random) -> HostMatrix {
    let weights = blocks(of: kind.format, rows * columns, &random), groups = rows * columns / group
    var scales: [UInt8] = [], zeros: [UInt8] = []
    var matrix = moe_matrix()
    if kind.scales != "none", kind.scales != "factor" {
      func codes(_ format: WeightFormat, _ values: [Float]) -> [UInt8] { (try? format.encode(values)) ?? [] }
      let values = (0..<groups).map { _ in 1 + random.next() / 2 }
      switch kind.scales {
      case "f16": (scales, matrix.scale_type) = (codes(.f16, values), MOE_SCALE_F16)
      case "bf16": (scales, matrix.scale_type) = (codes(.bf16, values), MOE_SCALE_BF16)
      case "e4m3": (scales, matrix.scale_type) = (codes(WeightFormat(named: "f8_e4m3")!, values), MOE_SCALE_E4M3)
      case "e8m0": (scales, matrix.scale_type) = (values.map { UInt8(127 + 2 * $0 - 2) }, MOE_SCALE_E8M0)
      default: (scales, matrix.scale_type) = (codes(.f32, values), MOE_SCALE_F32)
      }
      zeros = (0..<groups).map { _ in UInt8(8 + 4 * random.next()) }
    }
    let buffer = AlignedBuffer(byteCount: weights.count + scales.count + zeros.count), places = [0, weights.count, weights.count + scales.count]
    for (place, part) in zip(places, [weights, scales, zeros]) {
      part.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[place...]).copyMemory(from: $0) }
    }
    let base = UnsafeRawPointer(buffer.bytes.baseAddress!)
    matrix.format = kind.format.index
    (matrix.rows, matrix.columns, matrix.row_bytes) = (Int64(rows), Int64(columns), Int64(weights.count / rows))
    (matrix.data, matrix.scales) = (base, scales.isEmpty ? nil : base + places[1])
    if kind.format.name == "int4" { matrix.zeros = (base + places[2]).assumingMemoryBound(to: UInt8.self) }
    (matrix.group, matrix.group_rows, matrix.scale_stride) = (Int64(group), 1, Int64(columns / group))
    matrix.global_scale = kind.scales == "none" ? 1 : 0.75
    return HostMatrix(matrix, owner: buffer)
  }

  /// Blocks of any bytes whose values are neither large nor all small.
  private func blocks(of format: WeightFormat, _ values: Int, _ random: inout Random) -> [UInt8] {
    var blocks = [UInt8](repeating: 0, count: values / format.blockValues * format.blockBytes)
    blocks.withUnsafeMutableBytes { blocks in
      withUnsafeTemporaryAllocation(of: Float.self, capacity: format.blockValues) { decoded in
        for start in stride(from: 0, to: blocks.count, by: format.blockBytes) {
          let block = blocks.baseAddress! + start
          repeat {
            for byte in 0..<format.blockBytes { (block + byte).storeBytes(of: UInt8(truncatingIfNeeded: random.bits() >> 32), as: UInt8.self) }
            format.widen(block, count: format.blockValues, into: decoded.baseAddress!)
          } while !decoded.allSatisfy { abs($0) < 16 } || decoded.allSatisfy { abs($0) < 0x1p-8 }
        }
      }
    }
    return blocks
  }

  /// Numbers between -1 and 1, the same ones every time.
  private struct Random {
    private var state: UInt64 = 1

    mutating func bits() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state
    }

    mutating func next() -> Float { Float(Int32(truncatingIfNeeded: bits() >> 32)) * 0x1p-31 }
  }
}
#endif
