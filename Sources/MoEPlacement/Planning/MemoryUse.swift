// Which memory each node reads a layer's experts from, where it is not the node's own.

/// Memories of a layer's experts, by place in `MachineModel.nodes` and expert.
struct MemoryUse: Hashable {
  /// The number that stands for the shared expert.
  static let shared = -1
  /// Places in `MachineModel.memories`.
  private var memories: [Int: [Int: Int]] = [:]

  init() {}

  /// The memories of a placement that was checked.
  ///
  /// - Parameter nodes: its nodes, by place in `MachineModel.nodes`.
  /// - Throws: `PlacementError.memories` for those that the machine does not have, or has for another node.
  init(_ placement: Placement, on machine: MachineModel, nodes: [Int]) throws(PlacementError) {
    let memories = placement.memories.map { memory in
      machine.memories.firstIndex { $0.osIndex == memory.osIndex && $0.node == nodes[memory.node] }
    }
    guard !memories.contains(nil) else { throw .memories(placement.memories) }
    let homes = Array(placement.experts.enumerated()) + [(MemoryUse.shared, placement.sharedHome)]
    for (expert, home) in homes {
      switch home {
      case .nodes(let places), .parts(let places):
        for place in places where place >= placement.nodes.count {
          self[nodes[placement.node(of: place)], expert] = memories[place - placement.nodes.count]
        }
      case .split, .interleaved, .device: break
      }
    }
  }

  /// Nil for the node's own memory.
  subscript(node: Int, expert: Int) -> Int? {
    get { memories[node]?[expert] }
    set { memories[node, default: [:]][expert] = newValue }
  }
}
