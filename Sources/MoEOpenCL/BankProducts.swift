// The two products of a bank on a device: which programs read its matrices, and where these lie.

#if OpenCL
import MoEExperts
import MoEPlacement
import MoETensors

/// What all parts of a bank have in common.
struct BankProducts {
  private let bank: ExpertBank
  private let up: [HostMatrix], gate: [HostMatrix]?, down: [HostMatrix]
  private let gateUpRole: ProductRole, downRole: ProductRole
  private let gateUpProgram: VariantProgram, downProgram: VariantProgram

  init(_ bank: ExpertBank, _ precision: ActivationPrecision, in context: OpenCLContext) throws(OpenCLError) {
    self.bank = bank
    up = bank.experts.map { HostMatrix($0.up) }
    gate = bank.isGated ? bank.experts.map { HostMatrix($0.gate!) } : nil
    down = bank.experts.map { HostMatrix($0.down) }
    gateUpRole = ProductRole(activation: bank.activation.borrowed, weighsInput: bank.weightOnInput, precision: precision)
    downRole = ProductRole(precision: precision, segment: bank.experts[0].down.segment)
    gateUpProgram = try DeviceProduct.program(up + (gate ?? []), gateUpRole, in: context)
    downProgram = try DeviceProduct.program(down, downRole, in: context)
  }

  /// Parts that borrow the host's memory; nil where some codes have to be copied.
  func borrowing(in context: OpenCLContext) throws(OpenCLError) -> [BankPart]? {
    let isBorrowable = sets(bank.experts.indices).allSatisfy { matrices, variant in
      matrices.allSatisfy { variant.number(of: $0) != nil } && DeviceMatrices.common(matrices, in: context) != nil
    }
    return isBorrowable ? try borrowing(bank.experts.indices, in: context) : nil
  }

  /// One part, or where some buffer would be larger than the device takes, those of both halves.
  private func borrowing(_ experts: Range<Int>, in context: OpenCLContext) throws(OpenCLError) -> [BankPart] {
    let fits = sets(experts).allSatisfy { DeviceMatrices.common($0.0, in: context)!.count <= context.device.maxAllocationBytes }
    if !fits, experts.count > 1 {
      let middle = (experts.lowerBound + experts.upperBound) / 2
      return try borrowing(experts.lowerBound..<middle, in: context) + borrowing(middle..<experts.upperBound, in: context)
    }
    let gates: DeviceMatrices? = if let gate { try DeviceMatrices(Array(gate[experts]), gateUpProgram.variant, in: context) } else { nil }
    return [
      try part(
        PartExperts(experts), up: DeviceMatrices(Array(up[experts]), gateUpProgram.variant, in: context), gate: gates,
        down: DeviceMatrices(Array(down[experts]), downProgram.variant, in: context), in: context)
    ]
  }

  /// Up, down and gates of some experts, with the variants that read them.
  private func sets(_ experts: Range<Int>) -> [([HostMatrix], KernelVariant)] {
    [(Array(up[experts]), gateUpProgram.variant), (Array(down[experts]), downProgram.variant)]
      + (gate.map { [(Array($0[experts]), gateUpProgram.variant)] } ?? [])
  }

  private func matrices(of expert: Int) -> [(HostMatrix, KernelVariant)] { sets(expert..<expert + 1).map { ($0[0], $1) } }

  /// All experts: those that `others` have where they are, the others written into gaps between these, or elsewhere.
  func experts(beside others: [DeviceExpert], in context: OpenCLContext) throws(OpenCLError) -> [DeviceExpert] {
    let held = Dictionary(others.map { ($0.key, $0) }) { first, _ in first }
    var experts = bank.experts.indices.map { held[DeviceExpert.Key(matrices(of: $0))] }
    let missing = experts.indices.filter { experts[$0] == nil }
    let parts = try context.experts.parts(
      of: missing.map { DeviceExpert.byteCount(matrices(of: $0)) }, near: DeviceBank.buffers(of: others), in: context)
    for (index, part) in zip(missing, parts) {
      experts[index] = try DeviceExpert(bank.experts[index], matrices(of: index), in: part, of: context)
    }
    return experts.map { $0! }
  }

  /// The part of the experts that lie in `buffer`.
  func part(of experts: [DeviceExpert], in buffer: PartedBuffer, _ context: OpenCLContext) throws(OpenCLError) -> BankPart {
    let here = PartExperts(experts.indices.filter { experts[$0].part.whole === buffer })
    // What lies elsewhere has a place too, which no launch reads.
    let matrices = sets(here.range).enumerated().map { set, matrices in
      DeviceMatrices(
        codes: buffer.buffer, planes: buffer.buffer,
        places: zip(experts[here.range], matrices.0).map { expert, matrix in
          var place = expert.places[set]
          place.kind = Int32(matrices.1.number(of: matrix) ?? 0)
          return place
        })
    }
    return try part(here, up: matrices[0], gate: matrices.count > 2 ? matrices[2] : nil, down: matrices[1], in: context)
  }

  private func part(
    _ experts: PartExperts, up: DeviceMatrices, gate: DeviceMatrices?, down: DeviceMatrices, in context: OpenCLContext
  ) throws(OpenCLError) -> BankPart {
    let some = bank.experts[experts.range]
    func biases(_ path: (Expert) -> [Float]?, _ width: Int) -> [Float]? {
      some.contains { path($0) != nil } ? some.flatMap { path($0) ?? [Float](repeating: 0, count: width) } : nil
    }
    let upBiases = biases(\.upBias, bank.intermediate), gateBiases = biases(\.gateBias, bank.intermediate)
    let none = [Float](repeating: 0, count: some.count * bank.intermediate)
    return BankPart(
      gateUp: try DeviceProduct(
        experts, rows: bank.intermediate, columns: bank.hidden, up: up, gate: gate,
        biases: upBiases == nil && gateBiases == nil ? nil : (upBiases ?? none) + (bank.isGated ? gateBiases ?? none : []), gateUpRole,
        by: gateUpProgram.program, in: context),
      down: try DeviceProduct(
        experts, rows: bank.hidden, columns: bank.intermediate, up: down, gate: nil, biases: biases(\.downBias, bank.hidden), downRole,
        by: downProgram.program, in: context))
  }
}
#endif
