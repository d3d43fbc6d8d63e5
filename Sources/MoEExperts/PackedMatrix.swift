// One weight matrix of an expert, still packed, as the kernels read it.

package import CMoEKernels
public import MoETensors

/// How the rows of a weight matrix lie in memory.
public enum WeightLayout: String, Sendable, CaseIterable {
  /// Row after row, as checkpoints have them: borrowed from a mapped file, nothing is copied.
  case rows
  /// Neighbouring rows side by side, a copy that the CPU kernels read fastest; formats without panels stay in rows.
  case panels
}

/// A [rows, columns] weight matrix, y = W x, in a weight format; its values are never expanded in memory.
///
/// As it is read from a checkpoint its rows are borrowed where they lie one after another, and copied together elsewhere; a layer packs them
/// into panels.
public struct PackedMatrix: @unchecked Sendable {
  /// Format of the values.
  public let format: WeightFormat
  /// How the rows lie in memory.
  public let layout: WeightLayout
  /// Output width.
  public let rows: Int
  /// Input width.
  public let columns: Int
  /// Bytes from one row to the next where the layout is `rows`: those of a row, or more where rows of several matrices take turns.
  public let rowBytes: Int
  /// Scales (and zero points) of formats that keep them beside the codes; nil in panels, which hold them.
  public let scales: ScalePlane?
  /// Stored column j multiplies input `inputOrder[j]`; nil for the identity (GPTQ's act-order sets it).
  public let inputOrder: [Int32]?
  /// Columns of a group whose scale lies in panels; 0 where the format tells.
  private let group: Int
  /// Multiplies every scale.
  private let global: Float
  let data: UnsafeRawPointer
  let owner: AnyObject
  /// What each place of a placement holds, and last what the nodes share; empty for panels in one place and for rows.
  package let shards: [PanelShard]
  /// What panels were packed from, where it is kept.
  private let source: PublishedMatrix?

  /// - Parameters:
  ///   - step: rows from one of the matrix to the next in memory.
  ///   - factor: multiplies every value of formats that hold their scales; 1 for all but `nvfp4`.
  init(
    format: WeightFormat, rows: Int, columns: Int, data: UnsafeRawPointer, owner: AnyObject, step: Int = 1, scales: ScalePlane? = nil,
    factor: Float = 1, inputOrder: [Int32]? = nil
  ) throws(FormatError) {
    let codeBytes = try format.bytes(values: columns)
    rowBytes = step * codeBytes
    self.format = format
    layout = .rows
    publishedBytes = rows * codeBytes + (scales?.residentBytes ?? 0)
    self.rows = rows
    self.columns = columns
    self.data = data
    self.owner = owner
    self.scales = scales
    (group, global) = (scales?.group ?? 0, scales?.global ?? factor)
    self.inputOrder = inputOrder
    shards = []
    source = nil
  }

  /// The same matrix in panels at `data`, packed from `source`.
  ///
  /// - Parameter keeping: true to keep the source where it takes memory too: see `published`.
  package init(panelsOf source: PackedMatrix, data: UnsafeRawPointer, owner: AnyObject, keeping: Bool = false) {
    self.init(panelsOf: source, data: data, shards: [], owner: owner, keeping: keeping)
  }

  /// The same matrix in panels in several places, and last what the nodes share; every row is in some shard.
  package init(panelsOf source: PackedMatrix, shards: [PanelShard], keeping: Bool = false) {
    let largest = shards.max { $0.rows.count < $1.rows.count }!
    self.init(panelsOf: source, data: largest.data, shards: shards, owner: largest.owner, keeping: keeping)
  }

  private init(panelsOf source: PackedMatrix, data: UnsafeRawPointer, shards: [PanelShard], owner: AnyObject, keeping: Bool) {
    self.source = source.source ?? (keeping || source.isMapped ? PublishedMatrix(source) : nil)
    format = source.panelFormat
    layout = .panels
    publishedBytes = source.publishedBytes
    rows = source.rows
    columns = source.columns
    rowBytes = source.rowBytes
    scales = nil
    (group, global) = (source.group, source.global)
    inputOrder = source.inputOrder
    self.data = data
    self.shards = shards
    self.owner = owner
  }

  /// Bytes that the matrix keeps in memory: codes, scales, zero points and input order; every copy where several nodes have one.
  public var residentBytes: Int {
    let kept = source.map { $0.matrix.isMapped ? orderBytes : publishedBytes + orderBytes } ?? orderBytes
    guard shards.isEmpty else { return shards.reduce(kept) { $0 + panelBytes(rows: $1.rows.count) } }
    return kept + (layout == .panels ? panelBytes : publishedBytes)
  }

  /// The matrix in rows, as it was published: panels keep it where it lies in a mapped file, or they are asked to. Nil where it is gone.
  package var published: PackedMatrix? { layout == .rows ? self : source?.matrix }

  /// True when codes and scales lie in mapped files alone.
  private var isMapped: Bool {
    file?.isMapped == true && scales.map { $0.zeros == nil && ($0.owner as? any FilePages)?.isMapped == true } ?? true
  }

  /// Bytes of the values in the published format: codes, scales and zero points.
  public let publishedBytes: Int

  /// True when kernels on rounded activations can read the matrix, where its format has them.
  package var suitsRounded: Bool {
    var matrix = borrowed
    return inputOrder == nil && moe_takes_rounded(&matrix)
  }

  private var orderBytes: Int { (inputOrder?.count ?? 0) * MemoryLayout<Int32>.size }

  /// The format of the matrix in panels: NVFP4 that a checkpoint keeps in two tensors gets the blocks of GGUF's.
  private var panelFormat: WeightFormat {
    var matrix = borrowed
    return WeightFormat.all[Int(moe_panel_format(&matrix))]
  }

  /// Rows of one panel, 0 where the format has none.
  package var panelRows: Int { Int(moe_panel_rows(format.index)) }

  /// Bytes of one panel; the matrix lies in panels or takes them.
  package var bytesOfPanel: Int {
    var matrix = borrowed
    return Int(moe_panel_bytes(&matrix))
  }

  /// Bytes of all panels.
  package var panelBytes: Int { panelBytes(rows: rows) }

  /// Bytes of the panels of some rows from the first of a panel on.
  package func panelBytes(rows: Int) -> Int { panelRows == 0 ? 0 : (rows + panelRows - 1) / panelRows * bytesOfPanel }

  /// Bytes that the matrix would keep in another layout; nil for panels where they grow it by an eighth at most.
  package func residentBytes(in wanted: WeightLayout?) -> Int { layout(wanted) == .panels ? panelBytes + orderBytes : residentBytes }

  /// The layout that the matrix gets when `wanted` is asked for; nil as above.
  package func layout(_ wanted: WeightLayout?) -> WeightLayout {
    guard wanted != .rows, layout == .rows, takesPanels else { return layout }
    return wanted == .panels || panelBytes - publishedBytes <= publishedBytes / 8 ? .panels : .rows
  }

  /// True when the matrix can be packed into panels.
  package var takesPanels: Bool {
    var matrix = borrowed
    return columns > 0 && moe_takes_panels(&matrix)
  }

  /// Columns of one summation segment of a down projection: a constant of the layer, at most 8 segments, each of whole runs of 256
  /// columns, which hold whole blocks of every format.
  package var segment: Int { max(1, ((columns + 7) / 8 + 255) / 256) * 256 }

  /// The matrix as the kernels take it; valid while `self` lives, and without codes where no node holds all rows: see `borrowed(_:)`.
  package var borrowed: moe_matrix {
    var matrix = moe_matrix()
    matrix.format = format.index
    matrix.layout = layout == .panels ? MOE_PANELS : MOE_ROWS
    matrix.rows = Int64(rows)
    matrix.columns = Int64(columns)
    matrix.row_bytes = Int64(rowBytes)
    matrix.data = data
    matrix.group = Int64(group)
    matrix.global_scale = global
    scales?.describe(in: &matrix)
    return matrix
  }

  /// Rows [first, first + count) widened to f32 with the portable decoder, columns in the order of the input.
  ///
  /// - Precondition: the rows exist.
  public func decoded(rows first: Int = 0, count: Int? = nil) -> [Float] {
    let count = count ?? rows - first
    precondition(first >= 0 && count >= 0 && first + count <= rows)
    var stored = [Float](repeating: 0, count: columns)
    var values = [Float](repeating: 0, count: count * columns)
    for row in 0..<count where columns > 0 {
      let shard = shard(holding: first + row)
      var matrix = borrowed(shard)
      moe_matrix_decode(&matrix, Int64(first + row - shard.rows.lowerBound), 0, Int64(columns), &stored)
      for column in 0..<columns { values[row * columns + (inputOrder.map { Int($0[column]) } ?? column)] = stored[column] }
    }
    return values
  }
}

/// What panels were packed from.
private final class PublishedMatrix: Sendable {
  let matrix: PackedMatrix

  /// The matrix is one in rows.
  init(_ matrix: PackedMatrix) { self.matrix = matrix }
}
