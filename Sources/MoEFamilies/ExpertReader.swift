// The routed experts of a block, out of whichever layout the checkpoint has.

internal import MoECheckpoint
internal import MoEExperts
internal import MoERouting
internal import MoETensors

/// Reads the experts of one block.
struct ExpertReader {
  let reader: LinearReader
  let configuration: MoEConfiguration
  let names: LayerNames
  let layout: ExpertLayout

  private var experts: Int { configuration.experts }
  private var hidden: Int { configuration.expertHidden }
  private var intermediate: Int { configuration.intermediate }

  /// All experts.
  func bank() throws(MoEError) -> ExpertBank {
    let count = if case .embedding = layout { configuration.router.experts } else { experts }
    var all: [Expert] = []
    let read = try readerOfOne()
    for expert in 0..<count { all.append(try read(expert)) }
    return try MoEError.shaping { [all] () throws(ShapeError) in
      try ExpertBank(
        all, activation: configuration.activation, weightOnInput: configuration.weightOnInput, outputScale: configuration.outputScale,
        name: names.experts["up"] ?? names.experts["gate_up"] ?? "experts")
    }
  }

  /// What reads one expert; tensors common to all are checked here, once.
  private func readerOfOne() throws(MoEError) -> (Int) throws(MoEError) -> Expert {
    switch layout {
    case .split: return { (expert: Int) throws(MoEError) -> Expert in try split(expert) }
    case .stacked: return try stacked()
    case .flat: return try flat()
    case .embedding: return try embedding()
    case .fused(_, _, let orientation, let arrangement): return try fused(orientation, arrangement)
    }
  }

  private func split(_ expert: Int) throws(MoEError) -> Expert {
    func name(_ role: String) -> String { (names.experts[role] ?? role).replacing("{expert}", with: "\(expert)") }
    func bias(_ role: String, _ count: Int) throws(MoEError) -> [Float]? {
      names.experts["\(role)_bias"] == nil ? nil : try reader.floats(name("\(role)_bias"), count: count)
    }
    let gate: PackedMatrix? = names.experts["gate"] == nil ? nil : try reader.linear(name("gate"), rows: intermediate, columns: hidden)
    return Expert(
      gate: gate, up: try reader.linear(name("up"), rows: intermediate, columns: hidden),
      down: try reader.linear(name("down"), rows: hidden, columns: intermediate), gateBias: try bias("gate", intermediate),
      upBias: try bias("up", intermediate), downBias: try bias("down", hidden))
  }

  /// A tensor of exactly this shape.
  private func tensor(_ name: String, _ shape: [Int], takesFactors: Bool = false) throws(MoEError) -> TensorView {
    let view = try reader.complete(name, takesFactors: takesFactors)
    guard view.shape == shape else { throw .shape(ShapeError(tensor: name, reason: "expected \(shape), found \(view.shape)")) }
    return view
  }

  /// Rows of biases [experts, count], or nil when there is no such tensor.
  private func biases(_ role: String, _ count: Int) throws(MoEError) -> [Float]? {
    guard let name = names.experts["\(role)_bias"] else { return nil }
    return try reader.floats(name, count: experts * count)
  }

  private func stacked() throws(MoEError) -> (Int) throws(MoEError) -> Expert {
    func stack(_ role: String, _ rows: Int, _ columns: Int) throws(MoEError) -> (Int) throws(ShapeError) -> PackedMatrix {
      let view = try tensor((names.experts[role] ?? role) + ".weight", [experts, rows, columns], takesFactors: true)
      let factors = try reader.factors(of: view, count: experts)
      return { (expert: Int) throws(ShapeError) -> PackedMatrix in
        try PackedMatrix(rowsOf: view, .init(first: expert * rows, count: rows), factor: factors?[expert] ?? 1)
      }
    }
    let gate = names.experts["gate"] == nil ? nil : try stack("gate", intermediate, hidden)
    let up = try stack("up", intermediate, hidden), down = try stack("down", hidden, intermediate)
    let gateBias = try biases("gate", intermediate), upBias = try biases("up", intermediate), downBias = try biases("down", hidden)
    return { (expert: Int) throws(MoEError) -> Expert in
      try MoEError.shaping { () throws(ShapeError) in
        Expert(
          gate: try gate?(expert), up: try up(expert), down: try down(expert), gateBias: gateBias?.row(expert, of: intermediate),
          upBias: upBias?.row(expert, of: intermediate), downBias: downBias?.row(expert, of: hidden))
      }
    }
  }

  private func flat() throws(MoEError) -> (Int) throws(MoEError) -> Expert {
    let shape = [experts * intermediate, hidden]
    let gate = try tensor(names.experts["gate"] ?? "", shape), up = try tensor(names.experts["up"] ?? "", shape)
    let down = try tensor(names.experts["down"] ?? "", shape)
    return { (expert: Int) throws(MoEError) -> Expert in
      try MoEError.shaping { () throws(ShapeError) in
        Expert(
          gate: try PackedMatrix(rowsOf: gate, .init(first: expert * intermediate, count: intermediate)),
          up: try PackedMatrix(rowsOf: up, .init(first: expert * intermediate, count: intermediate)),
          down: try PackedMatrix(columnsOf: down, matrix: expert, inputs: intermediate, .init(count: hidden)))
      }
    }
  }

  private func embedding() throws(MoEError) -> (Int) throws(MoEError) -> Expert {
    let shape = [configuration.router.experts, hidden]
    let up = try tensor(names.experts["down_embed"] ?? "", shape), down = try tensor(names.experts["up_embed"] ?? "", shape)
    return { (expert: Int) throws(MoEError) -> Expert in
      try MoEError.shaping { () throws(ShapeError) in
        Expert(
          gate: nil, up: try PackedMatrix(rowsOf: up, .init(first: expert, count: 1)),
          down: try PackedMatrix(columnsOf: down, matrix: expert, inputs: 1, .init(count: hidden)))
      }
    }
  }

  private func fused(_ orientation: ExpertLayout.Orientation, _ arrangement: ExpertLayout.Arrangement) throws(MoEError)
    -> (Int) throws(MoEError) -> Expert
  {
    let gateUp = names.experts["gate_up"] ?? "", down = names.experts["down"] ?? ""
    let bias = try biases("gate_up", 2 * intermediate), downBias = try biases("down", hidden)
    let gateSlice: PackedMatrix.Slice, upSlice: PackedMatrix.Slice
    switch arrangement {
    case .halves: (gateSlice, upSlice) = (.init(count: intermediate), .init(first: intermediate, count: intermediate))
    case .interleaved:
      (gateSlice, upSlice) = (.init(count: intermediate, step: 2), .init(first: 1, count: intermediate, step: 2))
    }
    func gateUpBias(of expert: Int, _ slice: PackedMatrix.Slice) -> [Float]? {
      bias.map { bias in (0..<slice.count).map { bias[expert * 2 * intermediate + slice.first + $0 * slice.step] } }
    }
    func shifted(_ slice: PackedMatrix.Slice, _ rows: Int) -> PackedMatrix.Slice {
      .init(first: slice.first + rows, count: slice.count, step: slice.step)
    }
    let matrices: (Int) throws(ShapeError) -> (gate: PackedMatrix, up: PackedMatrix, down: PackedMatrix)
    if let blocks = try reader.optional("\(gateUp)_blocks") {
      guard hidden % 32 == 0, intermediate % 32 == 0 else {
        throw .shape(ShapeError(tensor: blocks.name, reason: "mxfp4 has blocks of 32 values, rows are \(hidden) and \(intermediate)"))
      }
      _ = try tensor(blocks.name, [experts, 2 * intermediate, hidden / 32, 16])
      let scales = try tensor("\(gateUp)_scales", [experts, 2 * intermediate, hidden / 32])
      let downBlocks = try tensor("\(down)_blocks", [experts, hidden, intermediate / 32, 16])
      let downScales = try tensor("\(down)_scales", [experts, hidden, intermediate / 32])
      matrices = { (expert: Int) throws(ShapeError) in
        (
          try PackedMatrix(mxfp4: blocks, scales: scales, shifted(gateSlice, expert * 2 * intermediate)),
          try PackedMatrix(mxfp4: blocks, scales: scales, shifted(upSlice, expert * 2 * intermediate)),
          try PackedMatrix(mxfp4: downBlocks, scales: downScales, .init(first: expert * hidden, count: hidden))
        )
      }
    } else if orientation == .outputMajor {
      let both = try tensor(gateUp, [experts, 2 * intermediate, hidden]), out = try tensor(down, [experts, hidden, intermediate])
      matrices = { (expert: Int) throws(ShapeError) in
        (
          try PackedMatrix(rowsOf: both, shifted(gateSlice, expert * 2 * intermediate)),
          try PackedMatrix(rowsOf: both, shifted(upSlice, expert * 2 * intermediate)),
          try PackedMatrix(rowsOf: out, .init(first: expert * hidden, count: hidden))
        )
      }
    } else {
      let both = try tensor(gateUp, [experts, hidden, 2 * intermediate]), out = try tensor(down, [experts, intermediate, hidden])
      matrices = { (expert: Int) throws(ShapeError) in
        (
          try PackedMatrix(columnsOf: both, matrix: expert, inputs: hidden, gateSlice),
          try PackedMatrix(columnsOf: both, matrix: expert, inputs: hidden, upSlice),
          try PackedMatrix(columnsOf: out, matrix: expert, inputs: intermediate, .init(count: hidden))
        )
      }
    }
    return { (expert) throws(MoEError) -> Expert in
      let parts = try MoEError.shaping { () throws(ShapeError) in try matrices(expert) }
      return Expert(
        gate: parts.gate, up: parts.up, down: parts.down, gateBias: gateUpBias(of: expert, gateSlice), upBias: gateUpBias(of: expert, upSlice),
        downBias: downBias?.row(expert, of: hidden))
    }
  }
}

extension [Float] {
  /// Row `index` of rows of `count`.
  func row(_ index: Int, of count: Int) -> [Float] { Array(self[index * count..<(index + 1) * count]) }
}
