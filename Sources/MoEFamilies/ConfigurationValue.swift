// One value of a configuration, from config.json or GGUF metadata.

internal import MoECheckpoint

/// A JSON or GGUF value behind one face.
enum ConfigurationValue {
  case json(JSON)
  case gguf(GGUFValue)

  var isNull: Bool { if case .json(let json) = self { json.isNull } else { false } }
  var integer: Int? { switch self { case .json(let json): json.int; case .gguf(let value): value.int } }
  var number: Double? { switch self { case .json(let json): json.double; case .gguf(let value): value.double ?? value.int.map(Double.init) } }
  var flag: Bool? { switch self { case .json(let json): json.bool; case .gguf(let value): value.bool } }
  var string: String? { switch self { case .json(let json): json.string; case .gguf(let value): value.string } }
  var list: [ConfigurationValue]? {
    switch self {
    case .json(let json): json.array?.map(ConfigurationValue.json)
    case .gguf(let value): value.array?.map(ConfigurationValue.gguf)
    }
  }
  func member(_ key: String) -> String? { if case .json(let json) = self { json[key]?.string } else { nil } }
  var text: String { switch self { case .json(let json): String(json.serialized(allowsNonFinite: true).prefix(80)); case .gguf(let value): String("\(value)".prefix(80)) } }
}
