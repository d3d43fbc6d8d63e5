// Every GEMM kernel on every shape around its tiles, against naive sums in double precision.

import CMoEKernels
import MoEReference
import MoETensors
import Testing

@Suite struct GEMMTests {
  static let batches = [0, 1, 2, 3, 5, 6, 7, 17, Int(MOE_GEMM_ROWS)]
  static let rowCounts = [1, 2, 3, 4, 5, 31, 32, 33]

  /// Columns of matrices: around and far from whole blocks.
  static func columns(_ format: WeightFormat, _ arrangement: ScaleArrangement?) -> [Int] {
    var group = format.blockValues
    if let arrangement, format.isScaled, !arrangement.isFlat, group == 2 || arrangement.group >= 32 {
      group = arrangement.group == 0 ? 32 : arrangement.group
    }
    switch group {
    case 1: return Array(1...40) + [41, 67, 96, 127, 257, 544, 1031]
    case 2: return Array(1...20).map { 2 * $0 } + [82, 134, 254, 514]
    default: return [1, 2, 3, 4, 5, 7].map { $0 * group }
    }
  }

  /// What differs between cells of one matrix and one segment.
  struct Cell {
    var m: Int, rowCount: Int, isGathered: Bool
  }

  private static func cells(_ index: Int) -> [Cell] {
    if Sweep.isFull { return batches.flatMap { m in rowCounts.flatMap { rows in [false, true].filter { $0 || m <= tokens }.map { Cell(m: m, rowCount: rows, isGathered: $0) } } } }
    return batches.enumerated().map { at, m in
      Cell(m: m, rowCount: rowCounts[(index * 5 + at * 3) % rowCounts.count], isGathered: (index + at) % 2 == 0 || m > tokens)
    }
  }

  /// Tokens of the largest batch, and the matrix rows that all cells choose from.
  static let tokens = 17, rows = 33

  @Test func everyKernelOnEveryShape() throws {
    var cells = 0, outOfBound = 0, noise = 0.0, power = 0.0
    // int8 results by case: the same bits from every table.
    var integers: [String: [Float]] = [:]
    for table in KernelTable.runnable {
      for format in WeightFormat.all {
        var random = SeededRandom(seed: 0xA11 + UInt64(format.index)), index = 0
        for arrangement in ScaleArrangement.all(of: format) {
          for columns in Sweep.some(Self.columns(format, arrangement), every: 6) {
            index += 1
            let matrix = try RandomMatrix(format, rows: Self.rows, columns: columns, arrangement, &random)
            let unit = ["int4", "f8_e4m3"].contains(format.name) ? 256 : format.name == "e2m1" ? 64 : max(32, format.blockValues)
            let segments = [columns, (columns / 3 + unit) / unit * unit, unit]
            for segment in Sweep.isFull ? Set(segments).sorted() : [segments[index % 3]] {
              for precision in ActivationPrecision.allCases
              where precision == .float || (table.gemmName(format, on: precision) != nil && matrix.takesRounded) {
                let problem = Problem(table, matrix, segment: segment, precision, seed: random.next())
                let name = "\(table) \(format) \(precision) \(arrangement?.name ?? "") [\(Self.rows), \(columns)] segment \(segment)"
                if let fault = problem.faultOfSingles { Issue.record("\(name): \(fault)") }
                if precision == .int8 {
                  (noise, power) = (noise + problem.rounding.noise, power + problem.rounding.power)
                  let known = integers["\(format) \(index) \(segment)", default: problem.singles]
                  #expect(known == problem.singles, "\(name): other bits than another table's")
                  integers["\(format) \(index) \(segment)"] = known
                }
                for cell in Self.cells(index) {
                  for layout in problem.layouts {
                    cells += 1
                    guard let fault = problem.fault(of: cell, in: layout, &random) else { continue }
                    outOfBound += 1
                    if outOfBound <= 20 { Issue.record("\(name) in \(layout), \(cell): \(fault)") }
                  }
                }
              }
            }
          }
        }
      }
    }
    print("int8 activations: NMSE \(noise / power)")
    #expect(noise <= 1e-4 * power)
    print("\(cells) cells, \(outOfBound) out of bound (tables \(KernelTable.runnable.map(\.name)), not run \(KernelTable.missing))")
    #expect(outOfBound == 0)
    #expect(cells >= (Sweep.isFull ? 20_000 : Sweep.isSmall ? 500 : 2_000) * KernelTable.runnable.count)
  }

  @Test func everyKernelHasItsName() {
    for table in KernelTable.runnable {
      for format in WeightFormat.all { 
        #expect(table.gemmName(format) == "gemm_\(format)_\(table)")
        #expect(table.gemmName(format, on: .int8).map { $0 == "gemm_int8_\(format)_\(table)" } ?? (moe_int8_row_bytes(format.index, 32) == 0))
        #expect(table.gemmName(format, on: .bfloat16).map { $0 == "gemm_bf16_bf16_\(table)" && format == .bf16 } ?? true)
       }
    }
    #expect(KernelTable.runnable.last?.name == "scalar")
  }
}

/// One matrix, one segment and the results of each (token, row) computed alone.
private struct Problem {
  let table: KernelTable
  let matrix: RandomMatrix
  let panels: Panels?
  let segment: Int
  /// Rows of x lie `stride` apart, NaN between them and nothing behind the last.
  let x: [Float]
  let stride: Int
  /// Activations of `x` rounded; nil where the f32 kernel is tested.
  let rounded: (any RoundedRows)?
  let precision: ActivationPrecision
  private(set) var singles: [Float] = []
  private(set) var faultOfSingles: String?
  /// Square sums of what the rounding to int8 changed, and of the exact results.
  private(set) var rounding = (noise: 0.0, power: 0.0)
  private static let guardValue: Float = -1234.5

  init(_ table: KernelTable, _ matrix: RandomMatrix, segment: Int, _ precision: ActivationPrecision, seed: UInt64) {
    (self.table, self.matrix, self.segment, self.precision) = (table, matrix, segment, precision)
    panels = matrix.panels(by: table)
    let columns = matrix.columns
    var random = SeededRandom(seed: seed)
    stride = columns + 3
    var padded = [Float](repeating: .nan, count: GEMMTests.tokens * (columns + 3) - 3)
    var dense: [Float] = []
    for token in 0..<GEMMTests.tokens {
      let row = random.floats(columns)
      dense += row
      padded.replaceSubrange(token * (columns + 3)..<token * (columns + 3) + columns, with: row)
    }
    x = padded
    switch precision {
    case .float: rounded = nil
    case .int8: rounded = Int8Rows(dense, columns: columns, by: table)
    case .bfloat16: rounded = BF16Rows(columns: columns, x: dense)
    }
    let exact = naiveProduct(matrix.values, rows: matrix.rows, columns: columns, dense)
    let expected = rounded.map { naiveProduct(matrix.values, rows: matrix.rows, columns: columns, $0.values) } ?? exact
    let rowNorms = (0..<matrix.rows).map { norm(matrix.values[$0 * columns..<($0 + 1) * columns]) }
    // Runs of at most 256 products in order, the runs in order, the segments in order; each step rounds at most twice. On int8, steps
    // are groups of 16 or 32 columns, but code and minimum of an unsigned format are each up to four times the weight they cancel to. Rounding
    // to bf16 moves an activation by 2^-8 of it at most.
    let steps = Double(precision == .int8 ? 4 * (columns / 16) : min(columns, 256)) + Double(columns) / 256 + Double(columns) / Double(segment) + 8
    for token in 0..<GEMMTests.tokens {
      let length = norm(dense[token * columns..<(token + 1) * columns])
      for row in 0..<matrix.rows {
        let value = run(rows: row..<row + 1, tokens: [Int32(token)], isGathered: true).y[0], index = token * matrix.rows + row
        singles.append(value)
        let bound = steps * Double(Float.ulpOfOne) * rowNorms[row] * length
        let isNear = precision != .bfloat16 || abs(Double(value) - exact[index]) <= bound + 0x1p-8 * rowNorms[row] * length
        if !(abs(Double(value) - expected[index]) <= bound && isNear), faultOfSingles == nil {
          faultOfSingles = "row \(row), token \(token): \(value), expected \(expected[index]), bound \(bound)"
        }
        rounding.noise += (Double(value) - exact[index]) * (Double(value) - exact[index])
        rounding.power += exact[index] * exact[index]
      }
    }
  }

  /// How the weights can lie.
  enum Layout { case rows, panels }
  var layouts: [Layout] { panels == nil ? [.rows] : [.rows, .panels] }

  /// y [m, rows] and whether everything around it, and the scratch's end, was left alone.
  private func run(rows: Range<Int>, tokens: [Int32], isGathered: Bool, layout: Layout = .rows) -> (y: [Float], isUntouched: Bool) {
    let m = tokens.count, width = rows.count, yStride = width + 2, margin = 5
    var out = [Float](repeating: Self.guardValue, count: m * yStride + 2 * margin)
    for i in 0..<m { for r in 0..<width { out[margin + i * yStride + r] = .nan } }
    // Small sweeps run under a sanitizer, which watches both ends of the scratch itself.
    let scratchCount = Int(moe_gemm_scratch()), buffer = AlignedBuffer(byteCount: (scratchCount + (Sweep.isSmall ? 0 : 16)) * 4)
    let scratch = buffer.bytes.bindMemory(to: Float.self)
    scratch.initialize(repeating: .nan)
    scratch[scratchCount...].update(repeating: Self.guardValue)
    var weights = layout == .rows ? matrix.matrix : panels!.matrix
    let kernels = table.row.pointee.formats[Int(weights.format)], list = isGathered ? tokens : nil
    let first = Int64(rows.lowerBound), last = Int64(rows.upperBound)
    out.withUnsafeMutableBufferPointer { out in
      let y = out.baseAddress! + margin
      if let rounded {
        guard let tiles = rounded.rounded(list, count: m, for: matrix.format, by: table, step: width % 2 == 0 ? 32 : 96) else { return }
        let product = precision == .int8 ? kernels.gemm_int8! : kernels.gemm_bf16!
        product(&weights, first, last, tiles, Int64(m), Int64(segment), y, Int64(yStride), scratch.baseAddress)
      } else {
        kernels.gemm(&weights, first, last, x, Int64(stride), list, Int64(m), Int64(segment), y, Int64(yStride), scratch.baseAddress)
      }
    }
    var y: [Float] = [], isUntouched = scratch[scratchCount...].allSatisfy { $0 == Self.guardValue }
    for (index, value) in out.enumerated() {
      let at = index - margin
      if at >= 0, at < m * yStride, at % yStride < width { y.append(value) } else if value != Self.guardValue { isUntouched = false }
    }
    return withExtendedLifetime(buffer) { (y, isUntouched) }
  }

  /// Nil when all results of the cell have the bits of those computed alone.
  func fault(of cell: GEMMTests.Cell, in layout: Layout, _ random: inout SeededRandom) -> String? {
    let start = Int.random(in: 0...matrix.rows - cell.rowCount, using: &random), first = layout == .rows ? start : start / 16 * 16
    let range = first..<first + cell.rowCount
    let tokens = (0..<cell.m).map { cell.isGathered ? Int32.random(in: 0..<Int32(GEMMTests.tokens), using: &random) : Int32($0) }
    let (y, isUntouched) = run(rows: range, tokens: tokens, isGathered: cell.isGathered, layout: layout)
    guard isUntouched else { return "wrote outside its rows" }
    for (i, token) in tokens.enumerated() {
      for (r, row) in range.enumerated() where y[i * cell.rowCount + r].bitPattern != singles[Int(token) * matrix.rows + row].bitPattern {
        return "row \(row), token \(token) is \(y[i * cell.rowCount + r]), alone \(singles[Int(token) * matrix.rows + row])"
      }
    }
    return faultOfSingles
  }
}
