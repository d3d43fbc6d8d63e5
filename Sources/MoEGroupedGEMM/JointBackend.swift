// The CPU and devices at the same time: each computes the experts that live there, and the sums are added.

internal import MoEDispatch
package import MoEExperts
package import MoEPlacement
package import MoETensors

/// A backend beside the CPU, which works while its caller does something else.
package protocol DeviceBackend: GroupedGEMMBackend {
  /// Begins to compute sums; `finish` has to follow before what they read and write is given away.
  func start(_ sums: [DeviceSums]) throws(OpenCLError) -> any DeviceWork
}

/// sums[token] = what `downCombined` makes of a pass, [plan.tokenCount, bank.hidden].
package struct DeviceSums: Sendable {
  package let pass: ExpertPass, sums: FloatRows
}

/// Work that a device has been given.
package protocol DeviceWork: Sendable {
  /// Waits for its end.
  func finish() throws(OpenCLError)
}

/// Grouped GEMM on the CPU and, at the same time, on devices.
///
/// A token's output is the CPU's sum and then each device's: the same bits in every call, every batch and for every number of threads, and those of
/// the CPU alone for a token whose experts all live there.
package struct JointBackend: Sendable {
  package let host: CPUBackend
  package let devices: [any DeviceBackend]
  private let banks: [ObjectIdentifier: DividedBank]

  /// - Parameter banks: those of a layer, divided over the CPU and `devices`.
  package init(_ host: CPUBackend, _ devices: [any DeviceBackend], _ banks: [DividedBank]) {
    (self.host, self.devices) = (host, devices)
    self.banks = Dictionary(banks.map { (ObjectIdentifier($0.whole.borrowed), $0) }) { $1 }
  }

  /// How a bank is divided; nil for one of another layer.
  package func divided(_ bank: ExpertBank) -> DividedBank? { banks[ObjectIdentifier(bank.borrowed)] }

  /// The CPU's backend and the devices'.
  var places: [any GroupedGEMMBackend] { [host] + devices.map { $0 as any GroupedGEMMBackend } }

  func parts(of pass: ExpertPass) -> [DividedBank.Part] { divided(pass.bank)!.parts }

  private func memory(of pass: ExpertPass) -> JointPass { JointPass.of(pass.memory, devices: devices.count) }

  /// The CPU's part of a pass that has been divided.
  private func own(_ pass: ExpertPass) -> ExpertPass {
    ExpertPass(pass.bank, memory(of: pass).plan, input: pass.input, activated: pass.activated, in: pass.memory)
  }

  /// The same of the shared expert; nil where it is a device's.
  private func own(shared pass: ExpertPass?) -> ExpertPass? { pass.map(own).flatMap { $0.plan.rows > 0 ? $0 : nil } }

  private func divide(_ pass: ExpertPass) {
    let memory = memory(of: pass), parts = parts(of: pass)
    memory.plan.take(pass.plan, parts[0], identity: true)
    for (share, part) in zip(memory.shares, parts.dropFirst()) { share.plan.take(pass.plan, part, identity: false) }
  }

  /// Hands every device its rows.
  private func start(_ routed: ExpertPass, _ shared: ExpertPass?) throws(OpenCLError) {
    let memory = memory(of: routed), other = shared.map(self.memory(of:))
    do throws(OpenCLError) {
      for index in devices.indices where memory.shares[index].plan.rows + (other?.shares[index].plan.rows ?? 0) > 0 {
        let sums = [routed, shared].compactMap { $0 }.compactMap { pass in
          parts(of: pass)[1 + index].bank.flatMap { self.memory(of: pass).shares[index].sums(of: pass, $0) }
        }
        memory.works.append(try devices[index].start(sums))
      }
    } catch {
      try? memory.finish()
      throw error
    }
  }

  private func addSums(of pass: ExpertPass, to output: FloatRows) {
    for share in memory(of: pass).shares where share.plan.rows > 0 { host.add(share.sums(output.count, output.columns), of: share.plan, to: output) }
  }
}

extension JointBackend: GroupedGEMMBackend {
  package var name: String { places.map(\.name).joined(separator: "+") }

  package func precision(of bank: ExpertBank) -> ActivationPrecision {
    guard let parts = divided(bank)?.parts else { return .float }
    let precisions = zip(places, parts).compactMap { backend, part in part.experts.isEmpty ? nil : part.bank.map(backend.precision) }
    return precisions.first { $0 != .float } ?? .float
  }

  package func gateUp(_ routed: ExpertPass, _ shared: ExpertPass?, _ memory: StageMemory, feedsDown: Bool) throws(OpenCLError) {
    guard feedsDown else {
      try gateUpAlone(routed, memory)
      if let shared { try gateUpAlone(shared, memory) }
      return
    }
    divide(routed)
    if let shared { divide(shared) }
    try start(routed, shared)
    host.gateUp(own(routed), own(shared: shared), memory, feedsDown: true)
  }

  package func downCombined(
    _ routed: ExpertPass, _ shared: ExpertPass?, into output: FloatRows, adding: Bool, _ memory: StageMemory
  ) throws(OpenCLError) {
    host.downCombined(own(routed), own(shared: shared), into: output, adding: adding, memory)
    try self.memory(of: routed).finish()
    addSums(of: routed, to: output)
    if let shared { addSums(of: shared, to: output) }
  }

  package func project(_ matrix: PackedMatrix, _ input: FloatRows, into outputs: FloatRows, _ memory: StageMemory) {
    host.project(matrix, input, into: outputs, memory)
  }
}
