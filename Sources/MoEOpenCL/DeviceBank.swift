// An expert bank on a device, in as many parts as buffers of the device's size ask for.

#if OpenCL
import MoEExperts
import MoEPlacement
import MoETensors

/// Neighbouring experts of a bank: their two products.
struct BankPart: Sendable {
  let gateUp: DeviceProduct, down: DeviceProduct
  var experts: Range<Int> { gateUp.experts }
  var precision: ActivationPrecision { gateUp.precision == .float ? down.precision : gateUp.precision }
}

/// The experts of a bank, uploaded.
final class DeviceBank: Sendable {
  let parts: [BankPart]
  /// Keeps what `parts` borrow, and the identity that the bank is known by.
  private let borrowed: BorrowedExperts

  /// - Parameter precision: what to round activations to where the weights suit it.
  init(_ bank: ExpertBank, _ precision: ActivationPrecision, in context: OpenCLContext) throws(OpenCLError) {
    borrowed = bank.borrowed
    parts = try Self.parts(bank, bank.experts.indices, precision, in: context)
  }

  /// One part, or where some buffer would be larger than the device takes, those of both halves.
  private static func parts(_ bank: ExpertBank, _ experts: Range<Int>, _ precision: ActivationPrecision, in context: OpenCLContext) throws(OpenCLError) -> [BankPart] {
    do throws(OpenCLError) {
      return [try part(bank, experts, precision, in: context)]
    } catch where error.isBufferSize && experts.count > 1 {
      let middle = (experts.lowerBound + experts.upperBound) / 2
      return try parts(bank, experts.lowerBound..<middle, precision, in: context) + parts(bank, middle..<experts.upperBound, precision, in: context)
    }
  }

  private static func part(_ bank: ExpertBank, _ range: Range<Int>, _ precision: ActivationPrecision, in context: OpenCLContext) throws(OpenCLError) -> BankPart {
    let experts = bank.experts[range]
    func matrices(_ path: (Expert) -> PackedMatrix) -> [HostMatrix] { experts.map { HostMatrix(path($0)) } }
    func biases(_ path: (Expert) -> [Float]?, _ width: Int) -> [Float]? {
      experts.contains { path($0) != nil } ? experts.flatMap { path($0) ?? [Float](repeating: 0, count: width) } : nil
    }
    let upBiases = biases(\.upBias, bank.intermediate), gateBiases = biases(\.gateBias, bank.intermediate)
    let none = [Float](repeating: 0, count: experts.count * bank.intermediate)
    return BankPart(
      gateUp: try DeviceProduct(
        range, up: matrices(\.up), gate: bank.isGated ? matrices { $0.gate! } : nil,
        biases: upBiases == nil && gateBiases == nil ? nil : (upBiases ?? none) + (bank.isGated ? gateBiases ?? none : []),
        ProductRole(activation: bank.activation.borrowed, weighsInput: bank.weightOnInput, precision: precision), in: context),
      down: try DeviceProduct(range, up: matrices(\.down), biases: biases(\.downBias, bank.hidden),
        ProductRole(precision: precision, segment: experts.first!.down.segment), in: context))
  }
}

extension OpenCLError {
  /// True when a buffer is larger than the device takes.
  fileprivate var isBufferSize: Bool { call == "clCreateBuffer" && name == "CL_INVALID_BUFFER_SIZE" }
}
#endif
