// An expert bank on a device, in as many parts as buffers that its experts lie in.

#if OpenCL
import MoEExperts
import MoEPlacement

/// Some experts of a bank: their two products.
struct BankPart: Sendable {
  let gateUp: DeviceProduct, down: DeviceProduct
  var experts: PartExperts { gateUp.experts }
  var rounds: Bool { gateUp.rounds || down.rounds }
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
  ///   - rounds: true to round activations to int8 where the weights suit it.
  ///   - others: experts that stay where they are when they are the bank's too.
  init(_ bank: ExpertBank, rounds: Bool, beside others: [DeviceExpert], in context: OpenCLContext) throws(OpenCLError) {
    borrowed = bank.borrowed
    let products = try BankProducts(bank, rounds: rounds, in: context)
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
