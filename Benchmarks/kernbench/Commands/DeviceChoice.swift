// `--device`: where layers are computed, in the words of the command line.

import MoE

/// A device that was named or chosen.
struct DeviceChoice {
  let device: MoELayer.Device
  /// What was chosen, where the choice was left open.
  let note: String?

  /// - Throws: `DeviceError`.
  init(_ name: String) throws(DeviceError) {
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
}

/// Why a device cannot be computed on.
enum DeviceError: Error, CustomStringConvertible {
  case unknown(String)

  var description: String {
    switch self {
    case .unknown(let name): "unknown device '\(name)'; there are cpu, blas, opencl, opencl:N and auto"
    }
  }
}
