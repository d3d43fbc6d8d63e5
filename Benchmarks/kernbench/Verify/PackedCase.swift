// Sets of tensors that make up one quantized matrix, through the same packing that a layer's weights take.

import MoE

struct PackedCase {
  let path: String
  let file: SafetensorsFile

  func run() -> [CaseResult] {
    let sets = Set(file.tensorNames.filter { $0.hasSuffix(".f32") }.map { String($0.dropLast(4)) })
    let tables = file.tensorNames.filter { $0.hasPrefix("table.") }
    return (sets.sorted() + tables.sorted()).map { name in
      do {
        let expected = try tensor(name.hasPrefix("table.") ? name : "\(name).f32").floats()
        return .bits("\(path.caseName)/\(name)", try values(of: name), expected)
      } catch { return .failed("\(path.caseName)/\(name)", "\(error)") }
    }
  }

  private func tensor(_ name: String) throws -> TensorView {
    guard let view = try file.tensor(name) else { throw Failure("tensor '\(name)' is missing") }
    return view
  }

  /// Bytes read as FP8.
  private func float8(_ name: String) throws -> TensorView {
    let view = try tensor(name)
    return try TensorView(name: name, type: .weights(WeightFormat(named: "f8_e4m3")!), shape: view.shape, bytes: view.bytes, owner: view.owner)
  }

  private func values(of name: String) throws -> [Float] {
    switch name {
    case "awq": return try PackedMatrix(awq: tensor("awq.qweight"), zeros: tensor("awq.qzeros"), scales: tensor("awq.scales")).decoded()
    case _ where name.hasPrefix("gptq"):
      return try PackedMatrix(
        gptq: tensor("\(name).qweight"), zeros: tensor("\(name).qzeros"), scales: tensor("\(name).scales"),
        groupIndex: file.tensor("\(name).g_idx")
      ).decoded()
    case "ct_int4":
      return try PackedMatrix(compressedInt4: tensor("ct_int4.weight_packed"), scales: tensor("ct_int4.weight_scale"), zeros: nil).decoded()
    case "nf4":
      let shape = try tensor("nf4.f32").shape
      guard shape.count == 2 else { throw Failure("nf4.f32 of shape \(shape)") }
      return try PackedMatrix(nf4: tensor("nf4.weight"), absmax: tensor("nf4.absmax"), rows: shape[0], columns: shape[1], blockSize: 64).decoded()
    case "mxfp4":
      let blocks = try tensor("mxfp4.blocks")
      return try PackedMatrix(mxfp4: blocks, scales: tensor("mxfp4.scales"), .init(count: blocks.shape[0])).decoded()
    case "nvfp4":
      return try PackedMatrix(nvfp4: tensor("nvfp4.weight"), scales: float8("nvfp4.weight_scale_e4m3"), global: tensor("nvfp4.weight_scale_2")).decoded()
    case "fp8_block":
      let size = try tensor("fp8_block.block_size")
      let block = (0..<size.count).map { Int(size.bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self)) }
      return try PackedMatrix(float8: float8("fp8_block.weight_e4m3"), scales: tensor("fp8_block.weight_scale_inv"), block: block).decoded()
    case "table.f8_e4m3fn": return try codes("f8_e4m3", Array(0...255))
    case "table.f8_e5m2": return try codes("f8_e5m2", Array(0...255))
    case "table.f4_e2m1": return try codes("e2m1", Self.nibbles)
    case "table.nf4": return try codes("nf4", Self.nibbles)
    case "table.f8_e8m0":
      return try (0...255).map(scale)
    default: throw Failure("no such packed format")
    }
  }

  /// The value of one E8M0 byte, as the scale of an FP8 code of 1.
  private func scale(_ code: UInt8) throws -> Float {
    let buffer = AlignedBuffer(byteCount: 2)
    (buffer.bytes[0], buffer.bytes[1]) = (0x38, code)
    func byte(_ index: Int, _ type: ElementType) throws -> TensorView {
      let bytes = UnsafeRawBufferPointer(rebasing: buffer.bytes[index...index])
      return try TensorView(name: "table.f8_e8m0", type: type, shape: [1, 1], bytes: bytes, owner: buffer)
    }
    guard let one = WeightFormat(named: "f8_e4m3") else { throw Failure("no format 'f8_e4m3'") }
    return try PackedMatrix(float8: byte(0, .weights(one)), scales: byte(1, .e8m0), block: nil).decoded()[0]
  }

  /// The sixteen 4-bit codes, two a byte.
  private static let nibbles = stride(from: UInt8(0), to: 16, by: 2).map { low in low | (low + 1) << 4 }

  private func codes(_ format: String, _ bytes: [UInt8]) throws -> [Float] {
    guard let format = WeightFormat(named: format) else { throw Failure("no format '\(format)'") }
    return try bytes.withUnsafeBytes { try format.decode($0, count: bytes.count * format.blockValues / format.blockBytes) }
  }
}
