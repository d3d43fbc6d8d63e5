// The bytes of panels are a contract: caches of packed weights keep them in files.

import CMoEKernels
import MoEReference
import MoETensors
import Testing

@Suite struct PanelLayoutTests {
  /// Checksums of panels of layout `MOE_PANEL_LAYOUT`. A new format adds its own; one that changes raises `MOE_PANEL_LAYOUT`.
  private static let layout = 2
  private static let checksums: [String: UInt64] = [
    "f32": 0x5137_5e01_8158_0958, "f16": 0x8973_5511_11e2_2a95, "bf16": 0x0a10_0fee_b7c4_4e4e, "q4_0": 0x3aef_d2f2_416c_39b8,
    "q4_1": 0xcf21_2847_78a6_84a8, "q5_0": 0xe006_eef6_320c_2cec, "q8_0": 0xf33c_68e2_23b3_4049, "q4_k": 0x0ed0_04a3_0dfe_4e95,
    "q5_k": 0x22f8_5dda_543a_600d, "q6_k": 0x4687_11f5_022d_6751, "iq4_nl": 0x05c8_c526_49f4_f1df, "iq4_xs": 0xb322_cc24_9525_ccd8,
    "mxfp4": 0xb4f6_a9ea_8b60_92f3, "q5_1": 0x8e2d_dfc9_3882_fbbf, "e2m1": 0x7bcf_39b9_9a0a_3f9d,
    "q2_k": 0x67d3_c6f2_4252_46ac, "q3_k": 0xfcc9_65df_307c_4469, "tq2_0": 0x6df1_10d6_794b_9ff7,
    "nvfp4": 0x04ad_93b6_b481_509a, "int4": 0x8955_c7db_35c9_5e0e, "f8_e4m3": 0x6157_bf79_38ae_b3c4,
  ]

  @Test func theLayoutIsTheOneDescribedHere() { #expect(Int(MOE_PANEL_LAYOUT) == Self.layout) }

  @Test(arguments: WeightFormat.all.filter { moe_panel_rows($0.index) > 0 })
  func bytesOfPanelsStay(_ format: WeightFormat) throws {
    // Any bits: packing moves them. The name is the seed: another format in the list changes no other's bytes.
    var random = SeededRandom(seed: Checksum.of(Array(format.name.utf8).map(UInt64.init)))
    let rows = 2 * Int(moe_panel_rows(format.index)) + 3, columns = max(format.blockValues, 32) * 3
    let rowBytes = try format.bytes(values: columns)
    let codes = (0..<rows * rowBytes).map { _ in UInt8.random(in: 0...255, using: &random) }
    let scales = (0..<rows * columns / 32 * 2).map { _ in UInt8.random(in: 0...255, using: &random) }
    var matrix = moe_matrix()
    (matrix.format, matrix.rows, matrix.columns) = (format.index, Int64(rows), Int64(columns))
    (matrix.row_bytes, matrix.global_scale) = (Int64(rowBytes), 1)
    if format.isScaled { (matrix.group, matrix.group_rows, matrix.scale_stride) = (32, 1, Int64(columns / 32)) }
    let panels = Panels(bytes: 3 * Int(moe_panel_bytes(&matrix)), of: matrix)
    let scratch = UnsafeMutablePointer<Float>.allocate(capacity: Int(moe_gemm_scratch()))
    defer { scratch.deallocate() }
    codes.withUnsafeBytes { codes in
      scales.withUnsafeBytes { scales in
        matrix.data = codes.baseAddress
        if format.isScaled {
          (matrix.scale_type, matrix.scales) = (format.name == "int4" ? MOE_SCALE_F16 : MOE_SCALE_E8M0, scales.baseAddress)
          if format.name == "int4" { matrix.zeros = scales.bindMemory(to: UInt8.self).baseAddress }
        }
        #expect(moe_takes_panels(&matrix))
        KernelTable.best.row.pointee.formats[Int(format.index)].pack(&matrix, 0, Int64(rows), panels.data.baseAddress, scratch)
      }
    }
    let found = Checksum.of(UnsafeRawBufferPointer(panels.data))
    #expect(
      found == Self.checksums[format.name],
      "panels of \(format) changed: raise MOE_PANEL_LAYOUT, unless the format is new, and note \"\(format.name)\": 0x\(String(found, radix: 16))")
  }

  @Test func everyChecksumHasItsFormat() {
    for name in Self.checksums.keys { #expect(WeightFormat(named: name).map { moe_panel_rows($0.index) > 0 } == true, "\(name)") }
  }
}
