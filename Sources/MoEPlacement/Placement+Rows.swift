// The output rows that each node of a placement computes of an expert, and what it holds for that.

extension Placement {
  /// Rows of a shard boundary: whole panels of every format, whole groups of rounded activations, whole pieces of the CPU backend.
  package static let rowStep = 32

  /// First row that each node computes of a matrix of `rows` rows, and the end.
  package func bounds(of home: Home, rows: Int) -> [Int] {
    let parts = nodes.indices.map { node in
      switch home {
      case .nodes(let copies): copies.contains(node) ? shares[node] : 0
      case .split, .interleaved, .device: shares[node]
      }
    }
    let all = parts.reduce(0, +), steps = (rows + Self.rowStep - 1) / Self.rowStep
    var bounds = [0], seen = 0
    for part in parts {
      seen += part
      bounds.append(min(rows, (steps * seen + all / 2) / all * Self.rowStep))
    }
    return bounds
  }

  /// Rows that each node holds; the last entry is for memory that all nodes share. Of an expert on a device none has any.
  package func holdings(of home: Home, rows: Int) -> [Range<Int>] {
    switch home {
    case .nodes(let copies): nodes.indices.map { copies.contains($0) ? 0..<rows : 0..<0 } + [0..<0]
    case .split:
      zip(bounds(of: home, rows: rows), bounds(of: home, rows: rows).dropFirst()).map { $0..<$1 } + [0..<0]
    case .interleaved: nodes.map { _ in 0..<0 } + [0..<rows]
    case .device: []
    }
  }
}
