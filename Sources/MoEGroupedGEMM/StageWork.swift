// The pieces of each product on the CPU, by expert and weight rows.

internal import CMoEKernels
internal import MoEDispatch
internal import MoEExperts
internal import MoEPlacement
internal import MoETensors

/// One product for the rows of one call.
struct Product {
  let kernels: UnsafePointer<moe_kernels>
  let input: StageInput

  /// out[i][r] = `weightRows` times rows of `tile`, sums in segments of `segment` columns, plus the bias.
  func callAsFunction(
    _ weights: borrowing BorrowedMatrix, _ weightRows: Range<Int>, _ tile: Range<Int>, segment: Int, into out: UnsafeMutablePointer<Float>,
    stride: Int, _ scratch: WorkerScratch
  ) {
    var matrix = weights.matrix
    let kernel = kernels.pointee.formats + Int(matrix.format)
    let ownRows = weightRows.lowerBound - weights.firstRow..<weightRows.upperBound - weights.firstRow
    let first = Int64(ownRows.lowerBound), last = Int64(ownRows.upperBound), count = Int64(tile.count)
    let list = input.list.map { $0 + tile.lowerBound }, rows = list == nil ? input.rows.row(tile.lowerBound) : input.rows.base
    if let rounded = input.rounded, let place = rounded.tile(of: weights, row: tile.lowerBound) {
      rounded.multiply(&matrix, ownRows, place, count: tile.count, segment: segment, into: out, stride: stride, scratch)
    } else if let order = weights.order {
      reorder(rows, list, tile.count, by: order, columns: Int(matrix.columns), into: scratch.inputs)
      kernel.pointee.gemm(&matrix, first, last, scratch.inputs, matrix.columns, nil, count, Int64(segment), out, Int64(stride), scratch.gemm)
    } else {
      kernel.pointee.gemm(&matrix, first, last, rows, Int64(input.rows.stride), list, count, Int64(segment), out, Int64(stride), scratch.gemm)
    }
    guard let bias = weights.bias else { return }
    for index in 0..<tile.count {
      let row = out + index * stride
      kernels.pointee.combine(bias + weightRows.lowerBound, 0, nil, nil, 1, 1, row, Int64(weightRows.count), row)
    }
  }

  /// Copies rows with columns in the order of the matrix.
  private func reorder(
    _ rows: UnsafePointer<Float>, _ list: UnsafePointer<Int32>?, _ count: Int, by order: UnsafePointer<Int32>, columns: Int,
    into target: UnsafeMutablePointer<Float>
  ) {
    for index in 0..<count {
      let source = rows + (list.map { Int($0[index]) } ?? index) * input.rows.stride, out = target + index * columns
      for column in 0..<columns { out[column] = source[Int(order[column])] }
    }
  }
}

/// act(gate x) * up x, some of the intermediate rows of one expert a piece.
struct GateUpWork: PieceWork {
  let product: Product, cut: Pieces, experts: ExpertTable
  let activation: moe_expert_activation, isGated: Bool, hidden: Int
  let activated: FloatRows
  /// Takes, rounded, the rows of experts whose down reads them so; nil to leave all of them as f32 in `activated`.
  let rounded: RoundedRows?
  let scratch: StageScratch

  var pieces: Int { cut.count }
  var nodes: NodeMap? { cut.nodes }
  func pieces(of node: Int) -> Range<Int> { cut.pieces(of: node) }

  func perform(piece: Int, worker: Int, node: Int) {
    let piece = cut[piece], weightRows = piece.weightRows, width = weightRows.count, scratch = scratch[worker]
    let expert = experts(piece.expert, of: piece.home, on: node)
    piece.forEachTile { tile in
      product(expert.pointee.up, weightRows, tile, segment: hidden, into: scratch.up, stride: width, scratch)
      if isGated { product(expert.pointee.gate, weightRows, tile, segment: hidden, into: scratch.gate, stride: width, scratch) }
      product.kernels.pointee.activate(activation, isGated ? scratch.gate : nil, scratch.up, Int64(tile.count * width), scratch.up)
      if let rounded, let target = rounded.tile(of: expert.pointee.down, row: tile.lowerBound) {
        rounded.round(weightRows, of: scratch.up, stride: width, count: tile.count, for: expert.pointee.down.matrix.format, into: target)
      } else {
        for (index, row) in tile.enumerated() {
          (activated.row(row) + weightRows.lowerBound).update(from: scratch.up + index * width, count: width)
        }
      }
    }
  }
}

/// down a, some of the output rows of one expert a piece.
struct DownWork: PieceWork {
  let product: Product, cut: Pieces, experts: ExpertTable, outputs: FloatRows, scratch: StageScratch

  var pieces: Int { cut.count }
  var nodes: NodeMap? { cut.nodes }
  func pieces(of node: Int) -> Range<Int> { cut.pieces(of: node) }

  func perform(piece: Int, worker: Int, node: Int) {
    let piece = cut[piece], weightRows = piece.weightRows, scratch = scratch[worker]
    let expert = experts(piece.expert, of: piece.home, on: node)
    piece.forEachTile { tile in
      product(
        expert.pointee.down, weightRows, tile, segment: expert.pointee.down.segment, into: outputs.row(tile.lowerBound) + weightRows.lowerBound,
        stride: outputs.stride, scratch)
    }
  }
}

/// One matrix for every row, some of its rows a piece.
struct ProjectWork: PieceWork {
  let product: Product, cut: Pieces, matrix: BorrowedMatrix, outputs: FloatRows, scratch: StageScratch

  var pieces: Int { cut.count }

  func perform(piece: Int, worker: Int, node: Int) {
    let piece = cut[piece], weightRows = piece.weightRows, scratch = scratch[worker]
    piece.forEachTile { tile in
      product(
        matrix, weightRows, tile, segment: Int(matrix.matrix.columns), into: outputs.row(tile.lowerBound) + weightRows.lowerBound,
        stride: outputs.stride, scratch)
    }
  }
}
