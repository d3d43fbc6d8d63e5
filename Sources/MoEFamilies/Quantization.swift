// How a checkpoint's configuration says its linear layers are quantized.

public import MoECheckpoint

/// `quantization_config` of a config.json, checked.
public enum Quantization: Sendable, Hashable {
  /// Plain weights, or formats that carry their scales (GGUF).
  case none
  /// One scale a block of [outputs, inputs]; nil where scales are given a row or a tensor.
  case fp8(block: [Int]?)
  /// AutoAWQ, gemm version, 4 bits with zero points.
  case awq
  /// `zeroOffset` is what stored zero points lack: 1, or 0 for `gptq_v2`.
  case gptq(zeroOffset: UInt8)
  /// compressed-tensors `pack-quantized`, 4 bits.
  case compressedTensors
  /// OCP microscaling FP4, as in GPT-OSS.
  case mxfp4
  /// bitsandbytes NF4, double quantization included.
  case bitsAndBytes
  /// ModelOpt NVFP4.
  case nvfp4

  /// Reads `quantization_config`.
  ///
  /// - Throws: `MoEError.unsupportedQuantization` naming the method, bits or version that the package does not read.
  public init(_ config: JSON?) throws(MoEError) {
    guard let config, !config.isNull else {
      self = .none
      return
    }
    guard let method = config["quant_method"]?.string ?? config["method"]?.string ?? (config["quant_algo"] == nil ? nil : "modelopt") else {
      throw .unsupportedQuantization("quantization_config has no quant_method")
    }
    func require(_ key: String, _ expected: JSON) throws(MoEError) {
      guard let found = config[key], !found.isNull, found != expected else { return }
      throw .unsupportedQuantization("\(method) with \(key) \(found.serialized()), only \(expected.serialized()) is read")
    }
    switch method {
    case "fp8", "fbgemm_fp8":
      try require("fmt", .string("e4m3"))
      guard let block = config["weight_block_size"], !block.isNull else {
        self = .fp8(block: nil)
        return
      }
      guard let sizes = block.array?.compactMap(\.int), sizes.count == 2, sizes.allSatisfy({ $0 > 0 && $0 <= 1 << 20 }) else {
        throw .unsupportedQuantization("fp8 with weight_block_size \(block.serialized())")
      }
      self = .fp8(block: sizes)
    case "awq":
      try require("bits", .integer(4))
      try require("w_bit", .integer(4))
      try require("zero_point", .bool(true))
      if let version = config["version"]?.string, version.lowercased() != "gemm" {
        throw .unsupportedQuantization("awq version '\(version)', only gemm is read")
      }
      self = .awq
    case "gptq":
      try require("bits", .integer(4))
      self = .gptq(zeroOffset: config["checkpoint_format"]?.string == "gptq_v2" ? 0 : 1)
    case "compressed-tensors", "ct_int4":
      for (name, group) in config["config_groups"]?.object ?? [:] {
        guard let weights = group["weights"], weights["type"]?.string == "int", let bits = weights["num_bits"]?.int, bits != 4 else { continue }
        throw .unsupportedQuantization("compressed-tensors group '\(name)' with int weights of \(bits) bits, only 4 are read")
      }
      self = .compressedTensors
    case "mxfp4": self = .mxfp4
    case "bitsandbytes":
      if let type = config["bnb_4bit_quant_type"]?.string, type != "nf4" {
        throw .unsupportedQuantization("bitsandbytes type '\(type)', only nf4 is read")
      }
      if config["load_in_8bit"]?.bool == true { throw .unsupportedQuantization("bitsandbytes 8 bit, only nf4 is read") }
      self = .bitsAndBytes
    case "modelopt", "modelopt_fp4", "nvfp4":
      let algorithm = config["quant_algo"]?.string ?? config["quantization"]?["quant_algo"]?.string ?? "NVFP4"
      switch algorithm {
      case "NVFP4": self = .nvfp4
      case "FP8": self = .fp8(block: nil)
      default: throw .unsupportedQuantization("modelopt algorithm '\(algorithm)', only NVFP4 and FP8 are read")
      }
    default: throw .unsupportedQuantization("method '\(method)' is not read")
    }
  }
}
