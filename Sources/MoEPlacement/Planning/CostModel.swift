// The predicted time of one layer's step under each strategy.

/// Seconds of a layer's step on the nodes of a machine; the experts on devices are not in `load`.
///
/// Reading weights and multiplying overlap, so that the slower of both counts; what crosses between nodes comes on top. Both products are split
/// by output rows: what crosses for a split expert is the activated row, which every node needs whole for its rows of down.
struct CostModel {
  let machine: MachineModel

  private var bandwidth: Double { machine.nodes.reduce(0) { $0 + $1.bandwidth } }
  private var products: Double { machine.nodes.reduce(0) { $0 + $1.products } }

  /// A step under a strategy.
  ///
  /// - Parameters:
  ///   - nodes: those that compute, by place in `MachineModel.nodes`: one for `isolate`, else all.
  ///   - homes: of whole experts, on places in `MachineModel.nodes`.
  ///   - use: the memories that weights are read from.
  func seconds(
    _ strategy: Placement.Strategy, _ load: StepLoad, on nodes: [Int], homes: [Placement.Home?], shares: [Int], from use: MemoryUse
  ) -> Double {
    switch strategy {
    case .isolate: sum(load, on: nodes[0], from: use)
    case .interleave: interleaved(load)
    case .wholeExperts:
      whole(load, homes: homes.map { home in if case .nodes(let copies) = home { copies } else { [] } }, from: use)
    case .split: split(load, shares: shares, from: use)
    case .mirror: mirrored(load, shares: shares, from: use)
    }
  }

  /// Every expert over all nodes by `shares`.
  private func split(_ load: StepLoad, shares: [Int], from use: MemoryUse) -> Double {
    let whole = Double(shares.reduce(0, +))
    // The node that is last with its part; all of them at once where shares follow bandwidth.
    let slowest = shares.indices.map { sum(load, on: $0, part: Double(shares[$0]) / whole, from: use) }
    return slowest.max()! + activations(load) + handOver(load)
  }

  /// Pages in turn: each node reads a part from every other one.
  private func interleaved(_ load: StepLoad) -> Double {
    let count = Double(machine.nodes.count)
    let rates = machine.nodes.map { node in count / (1 / node.bandwidth + (count - 1) / min(machine.remoteBandwidth, node.bandwidth)) }
    return sum(load, bandwidth: min(rates.reduce(0, +), bandwidth), products: products) + activations(load) + handOver(load)
  }

  /// All of every expert on each node: split as above with nothing read from afar, or one expert after another to whoever is free.
  private func mirrored(_ load: StepLoad, shares: [Int], from use: MemoryUse) -> Double {
    let used = load.chances.reduce(0, +), divided = split(load, shares: shares, from: use)
    guard used > 0 else { return divided }
    let fastest = machine.nodes.indices.map { sum(load, on: $0, from: use) / used }.min()!
    let turns = (used / Double(machine.nodes.count)).rounded(.up)
    return min(divided, turns * fastest + shared(load, from: use) + outputs(load) + handOver(load))
  }

  /// Whole experts on the nodes of `homes`: the expected time of the slowest node.
  ///
  /// - Parameter homes: nodes that hold a copy, by expert; rows are shared evenly by the copies. Empty for experts that are elsewhere.
  private func whole(_ load: StepLoad, homes: [[Int]], from use: MemoryUse) -> Double {
    var nodes = Array(repeating: NodeLoad(chances: [], seconds: 0), count: machine.nodes.count)
    for (expert, copies) in homes.enumerated() {
      for node in copies {
        nodes[node].chances.append(load.chances[expert] / Double(copies.count))
        let bandwidth = rate(of: node, for: expert, from: use)
        nodes[node].seconds += load.seconds(expert, bandwidth: bandwidth, products: machine.nodes[node].products) / Double(copies.count)
      }
    }
    for node in nodes.indices {
      let used = nodes[node].chances.reduce(0, +)
      nodes[node].seconds = used > 0 ? nodes[node].seconds / used : 0
    }
    // One token uses exactly topK experts, unless some of them are on devices.
    let isAll = load.tokens == 1 && homes.allSatisfy { !$0.isEmpty }
    return expectedMaximum(nodes, total: isAll ? load.sizes.topK : nil) + shared(load, from: use) + outputs(load) + handOver(load)
  }

  /// Experts on a device: its own time, and the rows that go there and come back.
  func device(_ load: StepLoad, _ index: Int) -> Double {
    let device = machine.devices[index]
    let bytes = load.allRows * Double(load.sizes.hidden) * Double(load.sizes.activationBytes + 4)
    guard load.allRows > 0 else { return 0 }
    return load.chances.indices.reduce(0) { $0 + load.seconds($1, bandwidth: device.bandwidth, products: device.products) }
      + bytes / device.link + device.latency
  }

  /// Bytes a second that a node reads of an expert.
  private func rate(of node: Int, for expert: Int, from use: MemoryUse) -> Double {
    use[node, expert].map { machine.memories[$0].bandwidth } ?? machine.nodes[node].bandwidth
  }

  /// A part of every expert on one node.
  private func sum(_ load: StepLoad, on node: Int, part: Double = 1, from use: MemoryUse) -> Double {
    let products = machine.nodes[node].products / part
    let shared = load.sharedSeconds(bandwidth: rate(of: node, for: MemoryUse.shared, from: use) / part, products: products)
    return load.chances.indices.reduce(shared) {
      $0 + load.seconds($1, bandwidth: rate(of: node, for: $1, from: use) / part, products: products)
    }
  }

  /// As above, of the machine as a whole.
  private func sum(_ load: StepLoad, bandwidth: Double, products: Double) -> Double {
    load.chances.indices.reduce(load.sharedSeconds(bandwidth: bandwidth, products: products)) {
      $0 + load.seconds($1, bandwidth: bandwidth, products: products)
    }
  }

  /// The shared expert, which is split wherever the routed ones are whole.
  private func shared(_ load: StepLoad, from use: MemoryUse) -> Double {
    guard load.sizes.sharedBytes > 0 else { return 0 }
    let exchanged = machine.exchange(Double(load.tokens * load.sizes.intermediate * load.sizes.activationBytes))
    let bandwidth = machine.nodes.indices.reduce(0) { $0 + rate(of: $1, for: MemoryUse.shared, from: use) }
    return load.sharedSeconds(bandwidth: bandwidth, products: products) + exchanged
  }

  /// Activated rows to every node.
  private func activations(_ load: StepLoad) -> Double {
    let rows = load.allRows + (load.sizes.sharedBytes > 0 ? Double(load.tokens) : 0)
    return machine.exchange(rows * Double(load.sizes.intermediate * load.sizes.activationBytes))
  }

  /// Rows of whole experts to the nodes that combine them, each a part of the hidden dimension.
  private func outputs(_ load: StepLoad) -> Double {
    machine.exchange(load.allRows * Double(load.sizes.hidden) * 4 / Double(machine.nodes.count))
  }

  /// Hidden states to every node and their parts of the output back.
  private func handOver(_ load: StepLoad) -> Double {
    machine.exchange(Double(load.tokens) * Double(load.sizes.hidden) * Double(load.sizes.activationBytes + 4))
  }
}
