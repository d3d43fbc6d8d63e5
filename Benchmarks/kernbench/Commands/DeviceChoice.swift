// `--device`: where layers are computed, in the words of the command line.

import MoE

/// A device that was named or chosen.
struct DeviceChoice {
  let device: MoELayer.Device
  /// An OpenCL device that computes some experts beside the CPU, and how many; nil for half of them.
  private let beside: (index: Int, experts: Int?)?
  /// What was chosen, where the choice was left open.
  let note: String?

  /// - Parameter experts: how many the device beside the CPU computes; nil for half of them.
  /// - Throws: `DeviceError`.
  init(_ name: String, experts: Int? = nil) throws(DeviceError) {
    if name.hasPrefix("cpu+"), case .openCL(let index) = try DeviceChoice(String(name.dropFirst(4))).device {
      (device, beside, note) = (.cpu, (index, experts), nil)
      return
    }
    beside = nil
    if let experts { throw .experts(experts, name) }
    if name == "auto" {
      let gpu = (try? OpenCL.devices())?.firstIndex { $0.kind == .gpu }
      device = gpu.map { .openCL($0) } ?? .cpu
      note = "device auto: \(device)"
      return
    }
    switch name {
    case "cpu": device = .cpu
    case "blas": device = .blas
    case "opencl": device = .openCL(0)
    default:
      let parts = name.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2, parts[0] == "opencl", let index = Int(parts[1]), index >= 0 else { throw .unknown(name) }
      device = .openCL(index)
    }
    note = nil
  }

  /// The placement of a layer that has evenly spread experts on the device beside the CPU; nil without one.
  ///
  /// - Throws: `DeviceError` for more experts than the layer has.
  func placement(of weights: LayerWeights, on topology: Topology) throws(DeviceError) -> Placement? {
    guard let beside else { return nil }
    let all = weights.experts.count, there = beside.experts ?? all / 2
    guard 0...all ~= there else { throw .experts(there, "a layer of \(all)") }
    return Placement(
      strategy: .interleave, nodes: topology.nodes.map(\.osIndex), shares: topology.nodes.map { _ in 1 },
      experts: (0..<all).map { ($0 + 1) * there / all > $0 * there / all ? .device(beside.index) : .interleaved },
      shared: weights.shared.map { _ in .interleaved }, machine: topology.fingerprint)
  }
}

/// Why a device cannot be computed on.
enum DeviceError: Error, CustomStringConvertible {
  case unknown(String)
  case experts(Int, String)

  var description: String {
    switch self {
    case .unknown(let name): "unknown device '\(name)'; there are cpu, blas, opencl, opencl:N, auto and cpu+opencl:N"
    case .experts(let count, let found): "--device-experts \(count): not for \(found)"
    }
  }
}
