// Published layer shapes by name, and shapes given in words.

import MoE

/// The shape of one MoE layer and the family whose names and router it has.
struct Preset {
  var name: String
  var family: PublishedFamily
  var hidden: Int
  var intermediate: Int
  var experts: Int
  var topK: Int
  /// Width of the shared expert, 0 for none; written by `synth`, left out of `run`, whose rows are about routed experts.
  var shared = 0

  static let all: [Preset] = [
    Preset(name: "qwen3-30b-a3b", family: .qwen3, hidden: 2048, intermediate: 768, experts: 128, topK: 8),
    Preset(name: "mixtral-8x7b", family: .mixtral, hidden: 4096, intermediate: 14336, experts: 8, topK: 2),
    Preset(name: "deepseek-v2-lite", family: .deepseekV2, hidden: 2048, intermediate: 1408, experts: 64, topK: 6, shared: 2816),
    Preset(name: "olmoe", family: .olmoe, hidden: 2048, intermediate: 1024, experts: 64, topK: 8),
    Preset(name: "gpt-oss-20b", family: .gptOSS, hidden: 2880, intermediate: 2880, experts: 32, topK: 4),
    Preset(name: "deepseek-v3", family: .deepseekV3, hidden: 7168, intermediate: 2048, experts: 256, topK: 8, shared: 2048),
    Preset(name: "llama4-scout", family: .llama4, hidden: 5120, intermediate: 8192, experts: 16, topK: 1, shared: 8192),
    Preset(name: "qwen2-57b-a14b", family: .qwen2, hidden: 3584, intermediate: 2560, experts: 64, topK: 8, shared: 20480),
  ]

  /// A preset's name, or `hidden=..,intermediate=..,experts=..,topK=..`.
  init(_ text: String) throws {
    if let preset = Self.all.first(where: { $0.name == text }) {
      self = preset
      return
    }
    guard text.contains("=") else {
      let names = Self.all.map(\.name).joined(separator: ", ")
      throw Failure("unknown layer '\(text)'; there are \(names), hidden=..,intermediate=..,experts=..,topK=.. and paths of checkpoints")
    }
    var sizes: [String: Int] = [:]
    for part in text.split(separator: ",") {
      let pair = part.split(separator: "=", maxSplits: 1).map(String.init), keys = ["hidden", "intermediate", "experts", "topK"]
      guard pair.count == 2, keys.contains(pair[0]) else { throw Failure("layer '\(text)': '\(part)' is none of \(keys.joined(separator: "=.., "))=..") }
      guard let size = Int(pair[1]), 1...(1 << 20) ~= size else { throw Failure("layer '\(text)': \(pair[0]) is '\(pair[1])', expected 1 ... 1048576") }
      guard sizes.updateValue(size, forKey: pair[0]) == nil else { throw Failure("layer '\(text)': \(pair[0]) is given twice") }
    }
    guard let hidden = sizes["hidden"], let intermediate = sizes["intermediate"], let experts = sizes["experts"], let topK = sizes["topK"] else {
      throw Failure("layer '\(text)': expected hidden=..,intermediate=..,experts=..,topK=..")
    }
    let name = "hidden=\(hidden),intermediate=\(intermediate),experts=\(experts),topK=\(topK)"
    self.init(name: name, family: .qwen3, hidden: hidden, intermediate: intermediate, experts: experts, topK: topK)
    try check()
  }

  init(name: String, family: PublishedFamily, hidden: Int, intermediate: Int, experts: Int, topK: Int, shared: Int = 0) {
    self.name = name
    self.family = family
    self.hidden = hidden
    self.intermediate = intermediate
    self.experts = experts
    self.topK = topK
    self.shared = shared
  }

  /// The same layer with fewer experts, its name saying so.
  func shrunk(to count: Int?) throws -> Preset {
    guard let count, count != experts else { return self }
    guard 1..<experts ~= count else { throw Failure("--experts \(count): \(name) has \(experts) experts") }
    var preset = self
    preset.experts = count
    preset.name += " (\(count) experts)"
    try preset.check()
    return preset
  }

  private func check() throws {
    guard topK <= experts else { throw Failure("layer '\(name)': top-\(topK) of \(experts) experts") }
    guard experts * hidden <= 1 << 28 else { throw Failure("layer '\(name)': a router of \(experts) x \(hidden) values is larger than any") }
  }

  /// Groups of experts that DeepSeek-V3's router chooses among; none where so few experts are left that groups make no sense.
  var groups: (count: Int, kept: Int)? {
    guard family.modelType == "deepseek_v3", experts % 8 == 0, experts / 8 >= 2, experts / 2 >= topK else { return nil }
    return (8, 4)
  }
}

/// Formats of an expert's matrices: one, or `GATEUP/DOWN`.
struct FormatPair: Hashable, CustomStringConvertible {
  let gateUp: WeightFormat
  let down: WeightFormat

  init(_ text: String) throws {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard 1...2 ~= parts.count else { throw Failure("format '\(text)': expected FORMAT or GATEUP/DOWN") }
    func format(_ name: String) throws -> WeightFormat {
      guard let format = WeightFormat(named: name) else {
        throw Failure("unknown format '\(name)'; there are \(WeightFormat.all.map(\.name).joined(separator: ", "))")
      }
      return format
    }
    (gateUp, down) = (try format(parts[0]), try format(parts.last ?? ""))
  }

  var description: String { gateUp == down ? gateUp.name : "\(gateUp)/\(down)" }

  /// Demands that blocks divide the rows.
  func check(_ preset: Preset) throws {
    for (format, row, word) in [(gateUp, preset.hidden, "hidden"), (down, preset.intermediate, "intermediate")] where row % format.blockValues != 0 {
      throw Failure("\(preset.name): rows of \(row) values (\(word)) are no whole blocks of \(format), which hold \(format.blockValues)")
    }
  }
}
