// PCI devices as the topology has them, and the compute devices found among them.

/// A PCI device that matters: a display controller, a processing accelerator, a network or storage controller.
public struct PCIDevice: Sendable, Hashable, CustomStringConvertible {
  /// "0000:3b:00.0".
  public let busID: String
  /// Class and subclass as the PCI specification numbers them: 0x0300 is a display controller.
  public let classID: UInt16
  /// Vendor and device as they identify themselves.
  public let vendorID, deviceID: UInt16
  /// Index into `Topology.nodes` of the node it is near, nil when it is as near to several.
  public let node: Int?

  /// True for display controllers and processing accelerators.
  public var isCompute: Bool { [0x03, 0x12].contains(classID >> 8) }

  /// One line for a report.
  public var description: String {
    let names: [UInt16: String] = [0x01: "storage", 0x02: "network", 0x03: "display", 0x12: "accelerator"]
    return "\(names[classID >> 8] ?? "class 0x\(hex(classID, 4))") \(hex(vendorID, 4)):\(hex(deviceID, 4)) at PCI \(busID)"
  }
}

extension Topology {
  /// The node whose memory is nearest to a device, as its PCI address tells; nil when that is not known.
  public func node(near device: ComputeDevice) -> Int? {
    guard let busID = device.pciBusID?.lowercased() else { return nil }
    if let known = pciDevices.first(where: { $0.busID == busID }) { return known.node }
    // This machine's PCI devices are not looked for unless asked; of a single one Linux tells at once.
    guard source == .machine, let text = systemText("/sys/bus/pci/devices/\(busID)/numa_node") else { return nil }
    let osIndex = fields(text, separator: "\n").first.flatMap { Int($0) }
    return nodes.count == 1 ? 0 : nodes.firstIndex { $0.osIndex == osIndex }
  }
}

/// `value` in hexadecimal, with zeros in front.
package func hex(_ value: some BinaryInteger, _ digits: Int) -> String {
  let text = String(value, radix: 16)
  return String(repeating: "0", count: max(0, digits - text.count)) + text
}
