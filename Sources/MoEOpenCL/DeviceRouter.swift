// A router on a device, and the plan of what it chose.

#if OpenCL
import CMoEKernels
import CMoEOpenCL
import MoEPlacement
import MoERouting

/// Chooses the experts that the host's router would, with the same weights, and sorts them as the host's plan does.
final class DeviceRouter: Sendable {
  /// The most experts that a token gets.
  let most: Int
  private let configuration: RouterConfiguration, hidden: Int
  private let program: DeviceProgram
  private let weight: DeviceBuffer, bias: DeviceBuffer?, choiceBias: DeviceBuffer?

  /// A router on a device; nil for a router that the kernels do not know, and where the host is to route or the driver gets them wrong.
  static func suiting(_ router: Router, _ bank: DeviceBank, in context: OpenCLContext) throws(OpenCLError) -> DeviceRouter? {
    guard context.options.routes ?? !context.device.sharesMemoryWithHost, router.configuration.mostOnDevice != nil,
      bank.parts.allSatisfy(\.experts.isRange)
    else { return nil }
    let program: DeviceProgram
    do throws(OpenCLError) {
      program = try context.programs.routing(bank.parts[0].gateUp.shape, on: context)
    } catch where !context.isLost { return nil }
    return try DeviceRouter(router, program, in: context)
  }

  /// A router by a given program.
  init(_ router: Router, _ program: DeviceProgram, in context: OpenCLContext) throws(OpenCLError) {
    (configuration, hidden, most, self.program) = (router.configuration, router.hidden, router.configuration.mostOnDevice!, program)
    weight = try DeviceProduct.buffer(of: router.weight, in: context)
    bias = if let bias = router.bias { try DeviceProduct.buffer(of: bias, in: context) } else { nil }
    choiceBias = if let bias = router.choiceBias { try DeviceProduct.buffer(of: bias, in: context) } else { nil }
  }

  /// Enqueues the choices of the pass's input.
  func choose(_ pass: DevicePass, tokens: Int) throws(OpenCLError) {
    let scores = configuration.scores, logits = try pass.room(pass.logits, tokens, scores)
    let choices = try pass.choices.room(4 * tokens * (2 * most + 1), in: pass.context)
    let groups = configuration.groups, norm = configuration.norm
    let tiles = (scores + Self.logitExperts - 1) / Self.logitExperts, height = (tokens + Self.logitTokens - 1) / Self.logitTokens
    pass.note(
      try program.launch(.routerLogits, width: tiles * Self.items, height: height, group: Self.items, on: pass.context) { (arguments) throws(OpenCLError) in
        for buffer in [pass.input.buffer!, weight, bias ?? weight, logits] { try arguments.add(buffer) }
        for value in [tokens, scores, hidden, bias == nil ? 0 : 1] { try arguments.add(value) }
      })
    pass.note(
      try program.launch(.route, width: Self.items, height: tokens, group: Self.items, on: pass.context) { (arguments) throws(OpenCLError) in
        for buffer in [logits, choiceBias ?? weight, choices] { try arguments.add(buffer) }
        for value in [tokens, scores, most] { try arguments.add(value) }
        for value in [Int(configuration.score.kernelKind.rawValue), configuration.weight.kernelKind, flags] { try arguments.add(value) }
        try arguments.add(groups?.count ?? 0)
        try arguments.add(groups?.kept ?? 0)
        try arguments.add(groups?.fill ?? 0)
        for value in [norm?.minimum ?? 0, norm?.epsilon ?? 0, Double(configuration.scale)] { try arguments.add(value) }
      })
  }

  /// Enqueues the plan of the choices of a pass, for the experts of a bank.
  func plan(_ pass: DevicePass, tokens: Int, _ bank: DeviceBank) throws(OpenCLError) {
    try plan(pass, tokens: tokens, parts: bank.parts.map(\.experts.range))
  }

  /// The same for the experts of each part.
  func plan(_ pass: DevicePass, tokens: Int, parts: [Range<Int>]) throws(OpenCLError) {
    let experts = parts.last!.upperBound, columns = experts + 1, chunks = (tokens + Self.chunk - 1) / Self.chunk
    try pass.expect(tokens: tokens, most: most, hasIdentity: configuration.experts > experts, parts: parts, program.shape)
    let lists = pass.lists.buffer!, choices = pass.choices.buffer!, at = pass.plan.places
    let counts = try pass.counts.room(4 * columns * (chunks + 2), in: pass.context)
    func launch(
      _ kernel: DeviceProgram.Kernel, _ width: Int, height: Int = 1, _ set: (inout KernelArguments) throws(OpenCLError) -> Void
    ) throws(OpenCLError) {
      let width = (width + Self.items - 1) / Self.items * Self.items
      pass.note(try program.launch(kernel, width: width, height: height, group: Self.items, on: pass.context, set))
    }
    try launch(.countRows, columns, height: chunks) { (arguments) throws(OpenCLError) in
      try arguments.add(choices)
      for value in [tokens, most, experts] { try arguments.add(value) }
      try arguments.add(counts)
    }
    try launch(.scanRows, columns) { (arguments) throws(OpenCLError) in
      try arguments.add(counts)
      for value in [chunks, experts] { try arguments.add(value) }
    }
    for (part, range) in parts.enumerated() {
      try launch(.cutTiles, Self.items) { (arguments) throws(OpenCLError) in
        try arguments.add(counts)
        for value in [chunks, experts, range.lowerBound, range.upperBound] { try arguments.add(value) }
        try arguments.add(lists)
        for isFew in [true, false] {
          let tiles = pass.plan.tiles.first { $0.part == part && $0.isFew == isFew }
          for value in [tiles?.place ?? 0, tiles?.count ?? 0] { try arguments.add(value) }
        }
      }
    }
    try launch(.placeRows, tokens) { (arguments) throws(OpenCLError) in
      try arguments.add(choices)
      for value in [tokens * most, tokens, most, experts] { try arguments.add(value) }
      try arguments.add(counts)
      try arguments.add(chunks)
      try arguments.add(lists)
      for value in [at.tokens, at.weights, at.rowOf, at.rowOffsets, at.identity ?? -1] { try arguments.add(value) }
    }
  }

  /// Sizes of plan.cl and router_logits.cl.
  private static let items = 64, chunk = 32, logitExperts = 8, logitTokens = 4

  /// Bits of route.cl.
  private var flags: Int {
    var flags = choiceBias == nil ? 0 : 1
    if configuration.groups?.score == .topTwoSum { flags |= 2 }
    if let norm = configuration.norm { flags |= 4 | (norm.over == .all ? 8 : 0) | (norm.p == 2 ? 16 : 0) }
    return configuration.norm != nil || configuration.scale != 1 ? flags | 32 : flags
  }
}

extension RouterConfiguration {
  /// The most experts that a token gets, for routers that route.cl knows.
  fileprivate var mostOnDevice: Int? {
    guard case .topK(let k) = selection, k <= 64, scores <= 1024, groups.map({ $0.count <= 64 }) ?? true,
      norm.map({ $0.p == 1 || $0.p == 2 }) ?? true, capacity == nil, nonFinite == .propagate
    else { return nil }
    return k
  }
}

extension RouterConfiguration.Weight {
  /// As route.cl numbers them.
  fileprivate var kernelKind: Int {
    switch self {
    case .score: 0
    case .softmaxOfSelected: 1
    case .sigmoidOfSelected: 2
    case .one: 3
    }
  }
}
#endif
