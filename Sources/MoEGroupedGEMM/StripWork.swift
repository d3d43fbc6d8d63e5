// Down and combine in one: a strip of output columns of all experts a piece, summed where it is computed.

internal import CMoEKernels
internal import MoEDispatch
internal import MoEExperts
internal import MoEPlacement
internal import MoETensors

/// What one bank adds to a strip; valid while its pass lives.
struct StripPart {
  private let product: Product
  private let groups: RowGroups, experts: ExpertTable
  /// Token of each row, and its coefficient; nil for ones.
  private let tokens: UnsafePointer<Int32>?, weights: UnsafePointer<Float>?, scale: Float
  /// Coefficients of the tokens' input rows; nil for none.
  private let identityWeights: UnsafePointer<Float>?, hidden: FloatRows

  init(_ pass: ExpertPass, _ input: StageInput, _ kernels: UnsafePointer<moe_kernels>) {
    let plan = pass.plan, bank = pass.bank
    product = Product(kernels: kernels, input: input)
    (groups, experts) = (RowGroups(plan), bank.borrowed.table)
    tokens = plan.tokens.withUnsafeBufferPointer { $0.baseAddress }
    weights = bank.weightOnInput ? nil : plan.weights.withUnsafeBufferPointer { $0.baseAddress }
    scale = bank.outputScale
    identityWeights = plan.identityWeights.isEmpty ? nil : plan.identityWeights.withUnsafeBufferPointer { $0.baseAddress }
    hidden = pass.input
  }

  /// Adds columns `strip` of every row, expert after expert, on node `node` for node `home`, which has the weights of these columns.
  func add(_ strip: Range<Int>, of home: Int, on node: Int, to output: FloatRows, _ scratch: WorkerScratch) {
    let width = Int64(strip.count), sums = output.base + strip.lowerBound
    for group in 0..<groups.count {
      let down = experts(groups.expert(group), of: home, on: node)
      Piece(expert: groups.expert(group), weightRows: strip, rows: groups.rows(of: group), home: home).forEachTile { tile in
        product(down.pointee.down, strip, tile, segment: down.pointee.down.segment, into: scratch.up, stride: strip.count, scratch)
        product.kernels.pointee.add_rows(
          scratch.up, width, Int64(tile.count), width, weights.map { $0 + tile.lowerBound }, scale, tokens.map { $0 + tile.lowerBound }, sums,
          Int64(output.stride))
      }
    }
    guard let identityWeights else { return }
    for token in 0..<output.count where identityWeights[token] != 0 {
      let sum = sums + token * output.stride
      product.kernels.pointee.combine(hidden.row(token) + strip.lowerBound, 0, nil, nil, identityWeights[token], 1, sum, width, sum)
    }
  }
}

/// output[token] = sum over its rows of coefficient * (down a), routed experts before the shared one. A strip's bits are those of `DownWork` and
/// `CombineWork`; the rows between the two never lie in memory.
struct StripWork: PieceWork {
  let routed: StripPart, shared: StripPart?, output: FloatRows, adding: Bool, cut: Pieces, scratch: StageScratch

  var pieces: Int { cut.count }
  var nodes: NodeMap? { cut.nodes }
  func pieces(of node: Int) -> Range<Int> { cut.pieces(of: node) }

  func perform(piece: Int, worker: Int, node: Int) {
    let piece = cut[piece], strip = piece.weightRows, scratch = scratch[worker]
    if !adding { for token in 0..<output.count { (output.row(token) + strip.lowerBound).update(repeating: 0, count: strip.count) } }
    routed.add(strip, of: piece.home, on: node, to: output, scratch)
    shared?.add(strip, of: piece.home, on: node, to: output, scratch)
  }
}
