// The output rows that each node of a placement computes of an expert, and what it holds for that.

extension Placement {
  /// Rows of a shard boundary: whole panels of every format, whole groups of rounded activations, whole pieces of the CPU backend.
  package static let rowStep = 32

  /// First row that each node computes of a matrix of `rows` rows, and the end.
  package func bounds(of home: Home, rows: Int) -> [Int] {
    let computing = if case .nodes(let copies) = home { copies.map(node) } else { Array(nodes.indices) }
    let parts = nodes.indices.map { computing.contains($0) ? shares[$0] : 0 }
    let all = parts.reduce(0, +), steps = (rows + Self.rowStep - 1) / Self.rowStep
    var bounds = [0], seen = 0
    for part in parts {
      seen += part
      bounds.append(min(rows, (steps * seen + all / 2) / all * Self.rowStep))
    }
    return bounds
  }

  /// The place of each node's part of an expert that is split; nil for other homes.
  package func parts(of home: Home) -> [Int]? {
    switch home {
    case .split: Array(nodes.indices)
    case .parts(let places): places
    case .nodes, .interleaved, .device: nil
    }
  }

  /// Rows that each place holds; the last entry is for memory that all nodes share. Of an expert on a device none has any.
  package func holdings(of home: Home, rows: Int) -> [Range<Int>] {
    var held = Array(repeating: 0..<0, count: places.count + 1)
    switch home {
    case .nodes(let copies): for place in copies { held[place] = 0..<rows }
    case .split, .parts:
      let bounds = bounds(of: home, rows: rows)
      for (node, place) in parts(of: home)!.enumerated() { held[place] = bounds[node]..<bounds[node + 1] }
    case .interleaved: held[places.count] = 0..<rows
    case .device: return []
    }
    return held
  }
}
