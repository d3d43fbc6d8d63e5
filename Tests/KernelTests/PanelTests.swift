// Panels: the same bytes from every table, the same values as the published rows.

import CMoEKernels
import MoEReference
import MoETensors
import Testing

@Suite struct PanelTests {
  private static let rowCounts = [1, 7, 8, 9, 15, 16, 17, 33]

  @Test(arguments: WeightFormat.all.filter { moe_panel_rows($0.index) > 0 })
  func valuesAndBytesAgree(_ format: WeightFormat) throws {
    var random = SeededRandom(seed: 0x9A7E1 + UInt64(format.index))
    for (index, rows) in Self.rowCounts.enumerated() {
      let columns = moe_panel_rows(format.index) == 16 ? [1, 7, 8, 15, 16, 17, 100, 256][index] : max(format.blockValues, 32) * (1 + index % 3)
      let matrix = try RandomMatrix(format, rows: rows, columns: columns, ScaleArrangement.all(of: format)[0], &random)
      var first: [UInt8]?
      for table in KernelTable.runnable {
        let panels = try #require(matrix.panels(by: table)), bytes = Array(panels.data)
        #expect(bytes == first ?? bytes, "\(table) \(format) [\(rows), \(columns)] packs other bytes")
        first = bytes
        var values = [Float](repeating: .nan, count: rows * columns), borrowed = panels.matrix
        for row in 0..<rows {
          values.withUnsafeMutableBufferPointer { moe_matrix_decode(&borrowed, Int64(row), 0, Int64(columns), $0.baseAddress! + row * columns) }
        }
        #expect(values == matrix.values, "\(table) \(format) [\(rows), \(columns)] decodes to other values")
      }
    }
  }

  /// Panels of random bits times unit vectors: what every table's vectors make of every code and every kind of scale.
  @Test(arguments: WeightFormat.all.filter { moe_panel_rows($0.index) == 8 })
  func everyTableReadsRandomPanelsAlike(_ format: WeightFormat) throws {
    var random = SeededRandom(seed: 0xD1CE + UInt64(format.index))
    let rows = 16 * 20, columns = max(format.blockValues, 32)
    var matrix = moe_matrix()
    (matrix.format, matrix.rows, matrix.columns, matrix.group, matrix.global_scale) = (format.index, Int64(rows), Int64(columns), 32, 0.75)
    let panels = Panels(bytes: rows / 8 * Int(moe_panel_bytes(&matrix)), of: matrix)
    for index in panels.data.indices { panels.data[index] = UInt8.random(in: 0...255, using: &random) }
    if format.name == "nvfp4" {
      // Scales have no sign, or are NaN.
      for unit in stride(from: 0, to: panels.data.count, by: 4 * 8 + 4 * columns) {
        for line in unit..<unit + 4 * 8 where panels.data[line] > 127 { panels.data[line] = panels.data[line] < 140 ? 255 : panels.data[line] - 128 }
      }
    }
    if format.name == "f8_e4m3" {
      for unit in stride(from: 0, to: panels.data.count, by: 40 + 8 * columns) {
        for row in 0..<8 {
          let isNaN = (0..<columns).contains { panels.data[unit + 40 + $0 / 4 * 32 + 4 * row + $0 % 4] & 0x7f == 0x7f }
          panels.data[unit + 32 + row] = isNaN ? 255 : 128
        }
      }
    }
    var borrowed = panels.matrix, values = [[Float]](repeating: [Float](repeating: 0, count: columns), count: rows)
    for row in 0..<rows { moe_matrix_decode(&borrowed, Int64(row), 0, Int64(columns), &values[row]) }
    let scratch = UnsafeMutablePointer<Float>.allocate(capacity: Int(moe_gemm_scratch()))
    defer { scratch.deallocate() }
    for table in KernelTable.runnable {
      let kernels = table.row.pointee.formats[Int(format.index)]
      for column in [0, 3, 17, columns - 1] {
        var x = [Float](repeating: 0, count: columns), y = [Float](repeating: 0, count: rows)
        x[column] = 1
        kernels.gemm(&borrowed, 0, Int64(rows), x, Int64(columns), nil, 1, Int64(columns), &y, Int64(rows), scratch)
        for row in 0..<rows {
          let isFinite = values[row].allSatisfy(\.isFinite)
          #expect(isFinite ? y[row] == values[row][column] : y[row].isNaN, "\(table) \(format) row \(row): \(y[row]), \(values[row][column])")
        }
      }
    }
  }

  /// Every code and every kind of scale: blocks of random bits, NaN and infinite scales among them.
  @Test(arguments: WeightFormat.all.filter { moe_panel_rows($0.index) == 8 && !$0.isScaled })
  func randomBlocksDecodeAlike(_ format: WeightFormat) throws {
    var random = SeededRandom(seed: 0xB17 + UInt64(format.index))
    let rows = 8 * 40, columns = format.blockValues, rowBytes = format.blockBytes
    let blocks = (0..<rows * rowBytes).map { _ in UInt8.random(in: 0...255, using: &random) }
    var matrix = moe_matrix()
    (matrix.format, matrix.rows, matrix.columns, matrix.row_bytes, matrix.global_scale) = (format.index, Int64(rows), Int64(columns), Int64(rowBytes), 1)
    let panels = Panels(bytes: rows / 8 * Int(moe_panel_bytes(&matrix)), of: matrix)
    let scratch = UnsafeMutablePointer<Float>.allocate(capacity: Int(moe_gemm_scratch()))
    defer { scratch.deallocate() }
    blocks.withUnsafeBytes { blocks in
      matrix.data = blocks.baseAddress
      KernelTable.best.row.pointee.formats[Int(format.index)].pack(&matrix, 0, Int64(rows), panels.data.baseAddress, scratch)
      var packed = panels.matrix, expected = [Float](repeating: 0, count: columns), found = expected
      for row in 0..<rows {
        moe_matrix_decode(&matrix, Int64(row), 0, Int64(columns), &expected)
        moe_matrix_decode(&packed, Int64(row), 0, Int64(columns), &found)
        #expect(zip(expected, found).allSatisfy { $0 == $1 || $0.isNaN && $1.isNaN }, "\(format) row \(row): \(expected) and \(found)")
      }
    }
  }
}
