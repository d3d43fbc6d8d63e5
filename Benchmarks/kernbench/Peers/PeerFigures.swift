// What this package is to reach beside other systems: least ratios to llama.cpp's better path, and shares of the machine's peaks.

import MoE

/// The figures, as data.
enum PeerFigures {
  /// A cell and the least ratio of llama.cpp's better median to ours.
  struct Figure {
    let layer: String, format: String, tokens: Int, ratio: Double
    /// True where this share of the read bandwidth does as well.
    var orBandwidth = false
  }

  static let bandwidthShare = 0.85

  static let all: [Figure] =
    figures(512, ["qwen3-30b-a3b"], ["q4_0": 3.3, "q4_k": 2.2, "q8_0": 3.1, "bf16": 3.3, "f16": 2.3, "f32": 3.0])
    + figures(512, ["gpt-oss-20b"], ["mxfp4": 3.8])
    + figures(128, ["qwen3-30b-a3b"], ["q4_0": 2.8, "q4_k": 2.8]) + figures(128, ["mixtral-8x7b"], ["q4_0": 2.5, "q4_k": 2.5])
    + figures(32, ["qwen3-30b-a3b"], ["q4_0": 2.2, "q4_k": 1.9])
    + figures(4, ["qwen3-30b-a3b"], ["q4_0": 1.45, "q4_k": 1.3, "q8_0": 1.15])
    + figures(1, ["qwen3-30b-a3b", "mixtral-8x7b", "olmoe"], ["q4_0": 1.2, "q4_k": 1.2, "q8_0": 1.1, "bf16": 1.0], orBandwidth: true)
    + figures(1, ["deepseek-v2-lite"], ["q4_0": 1.2, "q4_k/q5_0": 1.2, "q8_0": 1.1, "bf16": 1.0], orBandwidth: true)
    + figures(1, ["gpt-oss-20b"], ["q4_0": 1.2, "mxfp4": 1.2, "q8_0": 1.1, "bf16": 1.0], orBandwidth: true)

  /// Of the arithmetic that a format's kernel does on AVX2, at 512 tokens of qwen3-30b-a3b (mxfp4: gpt-oss-20b).
  static let peakShares: [(formats: [String], arithmetic: GEMMArithmetic, share: Double)] = [
    (["q4_0", "q4_k", "mxfp4"], .int8, 0.45), (["q8_0"], .int8Wide, 0.65), (["bf16", "f16", "f32"], .float, 0.70),
  ]

  /// The cells of all figures, in the order of the layers.
  static var cells: [(layer: String, format: String, tokens: [Int])] {
    let layers = ["qwen3-30b-a3b", "mixtral-8x7b", "deepseek-v2-lite", "olmoe", "gpt-oss-20b"]
    return layers.flatMap { layer in
      ["q4_0", "q4_k", "q4_k/q5_0", "mxfp4", "q8_0", "bf16", "f16", "f32"].compactMap { format in
        let tokens = all.filter { $0.layer == layer && $0.format == format }.map(\.tokens).sorted()
        return tokens.isEmpty ? nil : (layer, format, tokens)
      }
    }
  }

  private static func figures(_ tokens: Int, _ layers: [String], _ ratios: [String: Double], orBandwidth: Bool = false) -> [Figure] {
    layers.flatMap { layer in
      ratios.sorted { $0.key < $1.key }.map { Figure(layer: layer, format: $0.key, tokens: tokens, ratio: $0.value, orBandwidth: orBandwidth) }
    }
  }
}
