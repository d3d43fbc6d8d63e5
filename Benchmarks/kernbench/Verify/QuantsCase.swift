// Raw blocks of the GGUF types and their values.

import MoE

struct QuantsCase {
  let path: String
  let file: SafetensorsFile

  func run() -> [CaseResult] {
    file.tensorNames.filter { $0.hasSuffix(".raw") }.sorted().map { raw in
      let part = String(raw.dropLast(".raw".count)), name = "\(path.caseName)/\(part)"
      do {
        guard let type = part.split(separator: ".").first, let format = WeightFormat(named: type.lowercased()) else {
          return .failed(name, "no such weight format")
        }
        guard let bytes = try file.tensor(raw), let expected = try file.tensor("\(part).f32")?.floats() else {
          return .failed(name, "no values beside the blocks")
        }
        return .bits(name, try format.decode(bytes.bytes, count: expected.count), expected)
      } catch { return .failed(name, "\(error)") }
    }
  }
}
