// An expert bank on a device, in as many parts as buffers that its experts lie in.

#if OpenCL
import MoEExperts
import MoEPlacement
import MoETensors

/// Some experts of a bank: their two products.
struct BankPart: Sendable {
  let gateUp: DeviceProduct, down: DeviceProduct
  var experts: PartExperts { gateUp.experts }
  var precision: ActivationPrecision { gateUp.precision == .float ? down.precision : gateUp.precision }
}

/// The experts of a bank, uploaded.
final class DeviceBank: Sendable {
  /// In order of their first experts.
  let parts: [BankPart]
  /// Those with memory of the device; none where the bank borrows the host's.
  let experts: [DeviceExpert]
  /// Keeps what `parts` borrow, and the identity that the bank is known by.
  private let borrowed: BorrowedExperts

  /// - Parameters:
  ///   - precision: what to round activations to where the weights suit it.
  ///   - others: experts that stay where they are when they are the bank's too.
  init(_ bank: ExpertBank, _ precision: ActivationPrecision, beside others: [DeviceExpert], in context: OpenCLContext) throws(OpenCLError) {
    borrowed = bank.borrowed
    let products = try BankProducts(bank, precision, in: context)
    if let borrowing = try products.borrowing(in: context) {
      (parts, experts) = (borrowing, [])
      return
    }
    let experts = try products.experts(beside: others, in: context)
    parts = try Self.buffers(of: experts).map { (buffer) throws(OpenCLError) in try products.part(of: experts, in: buffer, context) }
    self.experts = experts
  }

  /// The buffers that experts lie in, in order of the first ones.
  static func buffers(of experts: [DeviceExpert]) -> [PartedBuffer] {
    experts.reduce(into: []) { buffers, expert in
      if !buffers.contains(where: { $0 === expert.part.whole }) { buffers.append(expert.part.whole) }
    }
  }
}
#endif
