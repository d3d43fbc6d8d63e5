// Memories of each node filled with what it computes, the hottest in the fastest.

extension HostChoice {
  /// One expert of one layer.
  struct Item {
    let layer, expert: Int
  }

  /// All experts that are on no device, those first that are most often in use.
  static func hottest(_ loads: [StepLoad], _ deviceHomes: [[Int?]]) -> [Item] {
    var items: [(chance: Double, item: Item)] = []
    for (layer, load) in loads.enumerated() {
      if load.sizes.sharedBytes > 0 { items.append((1, Item(layer: layer, expert: MemoryUse.shared))) }
      for (expert, chance) in load.chances.enumerated() where deviceHomes[layer][expert] == nil {
        items.append((chance, Item(layer: layer, expert: expert)))
      }
    }
    let order = items.indices.sorted { (-items[$0].chance, $0) < (-items[$1].chance, $1) }
    return order.map { items[$0].item }
  }

  /// Puts what each node computes into its memories: what is most often in use into the fastest while it lasts, the node's own before slower ones.
  func spread(_ layout: inout HostLayout) {
    for (index, node) in layout.nodes.enumerated() {
      let own = machine.nodes[node], beside = machine.memories.indices.filter { machine.memories[$0].node == node }
      guard !beside.isEmpty else { continue }
      var tiers = [(memory: nil as Int?, bandwidth: own.bandwidth, room: own.memoryBytes)]
      tiers += beside.map { ($0, machine.memories[$0].bandwidth, machine.memories[$0].memoryBytes) }
      let order = tiers.indices.sorted { (-tiers[$0].bandwidth, $0) < (-tiers[$1].bandwidth, $1) }
      layout.nodeBytes[index] = 0
      for item in hottest {
        let bytes = layout.bytes(of: item, on: index, sizes)
        guard bytes > 0 else { continue }
        let tier = order.first { tiers[$0].room >= bytes } ?? 0
        tiers[tier].room -= bytes
        if let memory = tiers[tier].memory {
          layout.uses[item.layer][node, item.expert] = memory
          layout.memoryBytes[memory, default: 0] += bytes
        } else {
          layout.nodeBytes[index] += bytes
        }
      }
    }
  }
}

extension HostLayout {
  /// Bytes that a node has of an expert.
  fileprivate func bytes(of item: HostChoice.Item, on index: Int, _ sizes: LayerSizes) -> Int {
    let isShared = item.expert == MemoryUse.shared, bytes = isShared ? sizes.sharedBytes : sizes.expertBytes[item.expert]
    return switch isShared ? shared : homes[item.layer][item.expert] {
    case .nodes(let copies): copies.contains(index) ? bytes : 0
    case .split: (bytes * shares[index] - 1) / shares.reduce(0, +) + 1
    default: 0
    }
  }

  /// Memories that hold something, by place in `MachineModel.memories`.
  var memories: [Int] { memoryBytes.keys.sorted() }

  /// The reason for a layer's experts in memories, none where it has none there.
  func why(_ layer: Int, _ machine: MachineModel) -> [String] {
    let counts = memories.map { memory in homes[layer].indices.count { uses[layer][machine.memories[memory].node, $0] == memory } }
    guard counts.contains(where: { $0 > 0 }) else { return [] }
    let words = zip(memories, counts).map { "\($1) on node \(machine.memories[$0].osIndex)" }.joined(separator: ", ")
    return ["experts in memory of nodes without cores (\(words)): those most often in use where it is faster than the cores' own, else the rest"]
  }

  /// The home of an expert with the memories that its parts and copies are in.
  ///
  /// - Parameter places: those of the placement, by place in `MachineModel.memories`.
  func home(_ expert: Int, layer: Int, memories places: [Int: Int]) -> Placement.Home {
    let home = expert == MemoryUse.shared ? shared : homes[layer][expert]!
    let places = nodes.indices.map { index in uses[layer][nodes[index], expert].map { places[$0]! } ?? index }
    return switch home {
    case .nodes(let copies): .nodes(copies.map { places[$0] }.sorted())
    case .split where places != Array(nodes.indices): .parts(places)
    default: home
    }
  }
}
