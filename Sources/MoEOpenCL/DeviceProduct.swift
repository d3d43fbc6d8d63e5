// One product of neighbouring experts on a device: its matrices, its program, and its launches.

#if OpenCL
import CMoEKernels
import CMoEOpenCL
import MoEExperts
import MoEPlacement
import MoETensors

/// What a product does beside multiplying.
struct ProductRole {
  /// Applied to a finished sum; nil for none.
  var activation: moe_expert_activation?
  /// True when a row is multiplied by its coefficient first.
  var weighsInput = false
  /// What activations are rounded to, where all matrices are of one kind that suits it.
  var precision = ActivationPrecision.float
  /// Columns of one segment of the sums on int8 activations; nil for all.
  var segment: Int?
}

/// A program, and what it was compiled to read.
typealias VariantProgram = (variant: KernelVariant, program: DeviceProgram)

/// y = W x for the rows of the experts `experts`; or act(gate x) * up x.
final class DeviceProduct: Sendable {
  let experts: PartExperts
  private let rows: Int, columns: Int, inputs: Int, segment: Int, flags: Int, limit: Float, alpha: Float
  private let program: DeviceProgram
  private let places: DeviceBuffer, up: DeviceBuffer, upPlanes: DeviceBuffer, gate: DeviceBuffer, gatePlanes: DeviceBuffer, biases: DeviceBuffer

  /// A product of one expert, with buffers of its own.
  ///
  /// - Parameters:
  ///   - program: what reads the matrices; nil for the best.
  convenience init(
    up: HostMatrix, gate: HostMatrix? = nil, biases: [Float]? = nil, _ role: ProductRole = ProductRole(), by program: VariantProgram? = nil,
    in context: OpenCLContext
  ) throws(OpenCLError) {
    let program = if let program { program } else { try Self.program([up] + [gate].compactMap { $0 }, role, in: context) }
    let gates: DeviceMatrices? = if let gate { try DeviceMatrices([gate], program.variant, in: context) } else { nil }
    try self.init(
      PartExperts(0..<1), rows: up.rows, columns: up.columns, up: try DeviceMatrices([up], program.variant, in: context), gate: gates, biases: biases,
      role, by: program.program, in: context)
  }

  /// - Parameters:
  ///   - up: the matrices of the experts, one for each number of their range: up or down.
  ///   - gate: those of the gates; nil for none.
  ///   - biases: those of `up`, then those of `gate`, rows a matrix; nil for none.
  init(
    _ experts: PartExperts, rows: Int, columns inputs: Int, up: DeviceMatrices, gate: DeviceMatrices?, biases: [Float]?, _ role: ProductRole,
    by program: DeviceProgram, in context: OpenCLContext
  ) throws(OpenCLError) {
    (self.experts, self.rows, self.inputs, self.program) = (experts, rows, inputs, program)
    columns = (inputs + 7) / 8 * 8
    segment = role.segment ?? columns
    (self.up, upPlanes) = (up.codes, up.planes)
    (self.gate, gatePlanes) = (gate?.codes ?? up.codes, gate?.planes ?? up.planes)
    places = try Self.buffer(of: up.places + (gate?.places ?? []), in: context)
    self.biases = if let biases { try Self.buffer(of: biases, in: context) } else { places }
    var flags = gate == nil ? 0 : 1
    if let activation = role.activation { flags |= 2 | Int(activation.kind.rawValue) << 8 }
    if biases != nil { flags |= 4 }
    if role.weighsInput { flags |= 8 }
    self.flags = flags
    (limit, alpha) = (role.activation?.limit ?? .infinity, role.activation?.alpha ?? 0)
  }

  /// The variant that reads all matrices, if there is one and this driver gets it right; else f32, which they are widened to.
  static func program(_ matrices: [HostMatrix], _ role: ProductRole, in context: OpenCLContext) throws(OpenCLError) -> VariantProgram {
    let kinds = matrices.compactMap { MatrixKind(of: $0) }
    if kinds.count == matrices.count {
      if Set(kinds).count == 1, matrices.allSatisfy({ MatrixKind.suits(role.precision, $0) }),
        let rounding = try context.programs.roundingProgram(kinds[0], role.precision, on: context)
      {
        return rounding
      }
      let variant = KernelVariant(Set(kinds))
      do throws(OpenCLError) {
        return (variant, try context.programs.program(variant, on: context))
      } catch where variant != .f32 && !context.isLost {}
    }
    return (.f32, try context.programs.program(.f32, on: context))
  }

  static func buffer<Value: BitwiseCopyable>(of values: [Value], in context: OpenCLContext) throws(OpenCLError) -> DeviceBuffer {
    let buffer = try DeviceBuffer(values.count * MemoryLayout<Value>.stride, in: context)
    try buffer.write(values)
    return buffer
  }

  var shape: TileShape { program.shape }
  /// What activations are rounded to.
  var precision: ActivationPrecision { program.products?.precision ?? .float }

  /// Multiply-adds of one row.
  private var work: Int { rows * columns * (flags & 1 + 1) }

  /// Enqueues the product for tiles of a plan.
  ///
  /// - Parameters:
  ///   - tiles: where they are in the lists of `pass`, and how many.
  ///   - gathers: true when a row of the plan reads row `tokens[row]` of x.
  func launch(_ tiles: TileList, of pass: DevicePass, gathers: Bool, x: DeviceBuffer, y: DeviceBuffer) throws(OpenCLError) {
    let lists = pass.lists.buffer!, at = pass.plan.places, flags = flags | (gathers ? 16 : 0)
    var x = x
    if let arrangement = shape.method.arrangement(program.products) { x = try arrange(tiles, by: arrangement, of: pass, flags, x) }
    let kernel = shape.method.product(isFew: tiles.isFew, program.products)
    let groups = shape.groups(rows * (flags & 1 + 1))
    let items = shape.items(isFew: tiles.isFew, program.products)
    let step = max(1, Self.workOfLaunch / max(1, work * (tiles.isFew ? shape.few : shape.groupTokens)))
    for first in stride(from: 0, to: tiles.count, by: step) {
      let event = try program.launch(
        kernel, width: groups * items, first: first, height: min(step, tiles.count - first), group: items, on: pass.context
      ) { (arguments) throws(OpenCLError) in
        for buffer in [places, up, upPlanes, gate, gatePlanes, biases, lists] { try arguments.add(buffer) }
        for value in [tiles.place, at.tokens, at.weights] { try arguments.add(value) }
        try arguments.add(x)
        try arguments.add(y)
        for value in [experts.range.lowerBound, experts.range.count, rows, columns, inputs, flags] { try arguments.add(value) }
        try arguments.add(limit)
        try arguments.add(alpha)
        if precision == .int8 { try arguments.add(segment) }
      }
      pass.note(event)
    }
  }

  /// Enqueues what arrange_rows.cl, round_rows.cl or round_rows_bf16.cl does to the rows of tiles, and returns where they are then.
  private func arrange(
    _ tiles: TileList, by kernel: DeviceProgram.Kernel, of pass: DevicePass, _ flags: Int, _ x: DeviceBuffer
  ) throws(OpenCLError) -> DeviceBuffer {
    let (words, span, group): (Int, Int, Int?) =
      switch kernel {
      case .roundRowsBF16: (columns / 2, 8, nil)
      case .roundRows: (columns / 32 * Self.roundedWords, shape.method == .tiles ? 32 : Self.run, 1)
      default: (columns, Self.run, 1)
      }
    let at = pass.plan.places, target = try pass.room(pass.arranged, pass.plan.arranged, words)
    let event = try program.launch(
      kernel, width: (columns + span - 1) / span, height: tiles.count, group: group, on: pass.context
    ) { (arguments) throws(OpenCLError) in
      try arguments.add(pass.lists.buffer!)
      for value in [tiles.place, at.tokens, at.weights] { try arguments.add(value) }
      try arguments.add(x)
      try arguments.add(target)
      for value in [columns, inputs, flags] { try arguments.add(value) }
      if kernel == .roundRows { try arguments.add(span) }
    }
    pass.note(event)
    return target
  }

  /// RUN of tile.cl, and words of 32 columns of a row of integers.cl.
  private static let run = 256, roundedWords = 11

  /// Multiply-adds of one launch: about 50 ms of a small device.
  private static let workOfLaunch = 1 << 31

  /// Enqueues the sums of the rows of each token; see combine.cl.
  func combine(
    _ pass: DevicePass, tokens: Int, columns: Int, adding: Bool, weighs: Bool, scale: Float, into y: DeviceBuffer
  ) throws(OpenCLError) {
    let at = pass.plan.places
    let event = try program.launch(.combine, width: columns, height: tokens, group: nil, on: pass.context) { (arguments) throws(OpenCLError) in
      try arguments.add(pass.outputs.buffer!)
      try arguments.add(pass.lists.buffer!)
      for value in [at.rowOffsets, at.rowOf, at.weights, at.identity ?? 0] { try arguments.add(value) }
      try arguments.add(pass.input.buffer!)
      try arguments.add(y)
      try arguments.add(columns)
      try arguments.add((adding ? 1 : 0) | (weighs ? 2 : 0) | (at.identity == nil ? 0 : 4))
      try arguments.add(scale)
    }
    pass.note(event)
  }
}
#endif
