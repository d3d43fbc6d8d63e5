// How the CPU and devices share a bank and the rows of a call.

internal import MoEDispatch
package import MoEExperts
internal import MoEPlacement
internal import MoETensors

/// A bank whose experts live on the CPU and on devices.
package final class DividedBank: Sendable {
  package let whole: ExpertBank
  /// The CPU's, then each device's.
  package let parts: [Part]

  /// The experts of one place.
  package struct Part: Sendable {
    /// In order.
    package let experts: [Int]
    /// The number that every expert of the whole bank has here; -1 for one that lives elsewhere.
    let numbers: [Int32]
    /// The whole bank on the CPU, the experts that live there on a device; nil where there is none.
    package let bank: ExpertBank?
  }

  /// - Parameter homes: of every expert its device, by place among `devices`; nil for the CPU.
  package init(_ bank: ExpertBank, homes: [Int?], devices: Int) {
    whole = bank
    let own = Part(
      experts: homes.indices.filter { homes[$0] == nil }, numbers: homes.indices.map { homes[$0] == nil ? Int32($0) : -1 }, bank: bank)
    parts = [own] + (0..<devices).map { device in
      let experts = homes.indices.filter { homes[$0] == device }
      var numbers = [Int32](repeating: -1, count: homes.count)
      for (number, expert) in experts.enumerated() { numbers[expert] = Int32(number) }
      return Part(experts: experts, numbers: numbers, bank: experts.isEmpty ? nil : bank.part(experts))
    }
  }
}

extension DispatchPlan {
  /// Takes the rows of a part's experts.
  mutating func take(_ plan: DispatchPlan, _ part: DividedBank.Part, identity: Bool) {
    take(plan, experts: part.bank?.count ?? 0, numbers: part.numbers, identity: identity)
  }
}

/// What the places keep of one bank's pass; used by the one call that claimed the workspace.
final class JointPass: @unchecked Sendable {
  /// Rows of the CPU.
  var plan = DispatchPlan()
  let shares: [DeviceShare]
  /// What devices are at.
  var works: [any DeviceWork] = []

  private init(devices: Int) { shares = (0..<devices).map { _ in DeviceShare() } }

  /// What `memory` keeps; new where it was that of another number of devices.
  static func of(_ memory: PassMemory, devices: Int) -> JointPass {
    if let held = memory.device as? JointPass, held.shares.count == devices { return held }
    let made = JointPass(devices: devices)
    memory.device = made
    return made
  }

  /// Waits for the devices, also for those beside one that fails.
  func finish() throws(OpenCLError) {
    var failure: OpenCLError?
    for work in works { do throws(OpenCLError) { try work.finish() } catch { failure = failure ?? error } }
    works.removeAll(keepingCapacity: true)
    if let failure { throw failure }
  }
}

/// One device's rows of a pass.
final class DeviceShare: @unchecked Sendable {
  var plan = DispatchPlan()
  private let memory = PassMemory(), buffer = GrowableBuffer()

  /// Where the device's sums arrive.
  func sums(_ tokens: Int, _ columns: Int) -> FloatRows { FloatRows(count: tokens, columns: columns, in: buffer) }

  /// What the device has to compute for `pass` with its experts, `bank`; nil for no row. Rows between the products stay there.
  func sums(of pass: ExpertPass, _ bank: ExpertBank) -> DeviceSums? {
    guard plan.rows > 0 else { return nil }
    return DeviceSums(
      pass: ExpertPass(bank, plan, input: pass.input, activated: pass.activated, in: memory), sums: sums(plan.tokenCount, bank.hidden))
  }
}
