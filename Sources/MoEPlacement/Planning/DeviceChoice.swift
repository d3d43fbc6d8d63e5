// Which experts live on devices: those whose stay there saves most, while the devices are done before the nodes.

/// Homes on devices, of all layers.
struct DeviceChoice {
  /// Place in `MachineModel.devices`, by layer and expert; nil for experts on nodes.
  private(set) var homes: [[Int?]]
  /// Bytes on each device.
  private(set) var bytes: [Int]
  /// Seconds of each layer's slowest device.
  private(set) var seconds: [Double]

  init(_ machine: MachineModel, _ loads: [StepLoad], _ budget: PlanningBudget) {
    homes = loads.map { Array(repeating: nil, count: $0.chances.count) }
    bytes = machine.devices.map { _ in 0 }
    seconds = loads.map { _ in 0 }
    guard !machine.devices.isEmpty else { return }
    let bandwidth = machine.nodes.reduce(0) { $0 + $1.bandwidth }, products = machine.nodes.reduce(0) { $0 + $1.products }
    let room = machine.devices.map { min($0.memoryBytes, budget.deviceBytes ?? .max) }
    var hostLeft: [Double] = [], items: [(layer: Int, expert: Int, saved: Double)] = []
    for (layer, load) in loads.enumerated() {
      let own = load.chances.indices.map { load.seconds($0, bandwidth: bandwidth, products: products) }
      hostLeft.append(own.reduce(load.sharedSeconds(bandwidth: bandwidth, products: products), +))
      items += own.enumerated().map { (layer, $0.offset, $0.element) }
    }
    items.sort { ($1.saved, $0.layer, $0.expert) < ($0.saved, $1.layer, $1.expert) }
    var busy = loads.map { _ in machine.devices.map(\.latency) }
    for (layer, expert, saved) in items where saved > 0 {
      let size = loads[layer].sizes.expertBytes[expert], rowBytes = Double(loads[layer].sizes.hidden * (loads[layer].sizes.activationBytes + 4))
      let ends = machine.devices.indices.filter { bytes[$0] + size <= room[$0] }.map { device in
        let speeds = machine.devices[device]
        let own = loads[layer].seconds(expert, bandwidth: speeds.bandwidth, products: speeds.products)
        return (device: device, end: busy[layer][device] + own + loads[layer].rows[expert] * rowBytes / speeds.link)
      }
      guard let best = ends.min(by: { ($0.end, $0.device) < ($1.end, $1.device) }) else { continue }
      // An expert moves while that ends the layer sooner.
      guard max(best.end, hostLeft[layer] - saved) < max(hostLeft[layer], seconds[layer]) else { continue }
      homes[layer][expert] = best.device
      bytes[best.device] += size
      busy[layer][best.device] = best.end
      hostLeft[layer] -= saved
      seconds[layer] = max(seconds[layer], best.end)
    }
  }

  /// The reason for a layer's experts on devices, none where it has none there.
  func why(_ layer: Int) -> [String] {
    let counts = bytes.indices.map { device in homes[layer].count { $0 == device } }
    guard counts.contains(where: { $0 > 0 }) else { return [] }
    let words = counts.map(String.init).joined(separator: ", ")
    return ["experts on devices (\(words)): those that save most, within memory and as long as the step ends sooner"]
  }
}
