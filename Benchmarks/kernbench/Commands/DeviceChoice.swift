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
      device = .cpu
      note = "device auto: cpu"
      return
    }
    if name == "opencl" || name.hasPrefix("opencl:") { throw .noBackend(name) }
    guard let device = MoELayer.Device(rawValue: name) else { throw .unknown(name) }
    self.device = device
    note = nil
  }
}

/// Why a device cannot be computed on.
enum DeviceError: Error, CustomStringConvertible {
  case noBackend(String)
  case unknown(String)

  var description: String {
    switch self {
    case .noBackend(let name): "--device \(name): the OpenCL backend is not in this version; there are \(Self.names)"
    case .unknown(let name): "unknown device '\(name)'; there are \(Self.names)"
    }
  }

  private static var names: String { (MoELayer.Device.allCases.map(\.rawValue) + ["auto"]).joined(separator: ", ") }
}
