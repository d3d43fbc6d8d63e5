// What a placement must keep to, told before anything of it is trusted.

extension Placement {
  /// Demands that the placement is one for this machine and a layer of this many experts; what files hold is not trusted before.
  ///
  /// - Parameter devices: how many devices there are.
  /// - Throws: `PlacementError`.
  public func check(on topology: Topology, experts count: Int, devices: Int = 0) throws(PlacementError) {
    guard machine == topology.fingerprint else { throw .otherMachine(planned: machine, found: topology.fingerprint) }
    try check(experts: count)
    for node in places where !topology.nodes.contains(where: { $0.osIndex == node }) { throw .unknownNode(node) }
    for device in self.devices where !(0..<devices ~= device) { throw .unknownDevice(device, devices: devices) }
  }

  /// What can be told without the machine: that homes are in `places` and each node has a share.
  func check(experts count: Int) throws(PlacementError) {
    guard experts.count == count else { throw .experts(planned: experts.count, layer: count) }
    guard !nodes.isEmpty, ascend(nodes) else { throw .nodes(nodes) }
    guard ascend(memories.map(\.osIndex)), memories.allSatisfy({ nodes.indices.contains($0.node) && !nodes.contains($0.osIndex) }) else {
      throw .memories(memories)
    }
    guard shares.count == nodes.count, shares.allSatisfy({ 1...Self.largestShare ~= $0 }) else { throw .shares(shares) }
    let places = self.places.indices
    for home in experts + [shared].compactMap({ $0 }) {
      switch home {
      case .nodes(let copies):
        guard !copies.isEmpty, ascend(copies) else { throw .places(copies) }
        for place in copies where !places.contains(place) { throw .unknownNode(place) }
        guard Set(copies.map(node)).count == copies.count else { throw .places(copies) }
      case .parts(let parts):
        for place in parts where !places.contains(place) { throw .unknownNode(place) }
        guard parts.map(node) == Array(nodes.indices) else { throw .places(parts) }
      case .interleaved, .split, .device: break
      }
    }
  }

  private func ascend(_ numbers: [Int]) -> Bool { zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 } }
}
