// The JSON parser and its text.

import MoECheckpoint
import MoEReference
import Testing

@Suite struct JSONTests {
  @Test func valuesOfEveryKind() throws {
    let json = try JSON(parsing: #" {"a": [1, -2.5e3, true, false, null], "b": {"c": "x\n\u00e9\ud83d\ude00/\/"}, "d": 9223372036854775807, "e": 9223372036854775808, "f": 1e2} "#)
    #expect(json["a"] == .array([.integer(1), .number(-2500), .bool(true), .bool(false), .null]))
    #expect(json["b"]?["c"]?.string == "x\n\u{e9}\u{1F600}//")
    #expect(json["d"]?.int == Int.max)
    #expect(json["e"] == .number(9223372036854775808))
    #expect(json["e"]?.int == nil)
    #expect(json["f"]?.int == 100)
    #expect(json["a"]?.array?[0].double == 1)
    #expect(json["z"] == nil)
  }

  @Test(arguments: [
    "", " ", "{", "[", "\"", "tru", "nul", "01", "-", "-a", "1.", ".5", "1e", "1e+", "+1", "[1,]", "[,1]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}",
    "[1 2]", "1 1", "{}x", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"a\nb\"", "NaN", "Infinity", "-Infinity",
    "1e999", "nan", "'a'", "[1]]", "{\"a\":}", "\"\\", "\"\\u", "\u{FEFF}{}", "// c\n1", "{\"a\":1,\"a\":2}",
    "{\"e\u{301}\":1,\"\u{e9}\":2}",
  ])
  func wrongTextsAreRefused(_ text: String) {
    #expect(throws: CheckpointError.self) { try JSON(parsing: text) }
  }

  @Test(arguments: [[0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xE2, 0x82, 0x22], [0xFF]] as [[UInt8]])
  func bytesThatAreNoUTF8AreRefused(_ bytes: [UInt8]) {
    #expect(throws: CheckpointError.self) { try JSON(parsing: bytes) }
  }

  @Test func depthIsBounded() throws {
    func nested(_ depth: Int) -> String { String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
    _ = try JSON(parsing: nested(64))
    #expect(kind(error(nested(65))) == "limit")
    #expect(kind(error(String(repeating: "[", count: 1_000_000))) == "limit")
    #expect(kind(error(String(repeating: "{\"a\":", count: 1_000_000))) == "limit")
  }

  @Test func valuesAndNumbersAreBounded() {
    #expect(kind(error("[" + String(repeating: "0,", count: 2_000_000) + "0]")) == "limit")
    #expect(kind(error(String(repeating: "1", count: 2000))) == "limit")
  }

  private func error(_ text: String) -> CheckpointError? {
    do throws(CheckpointError) { _ = try JSON(parsing: text) } catch { return error }
    return nil
  }

  @Test func nonFiniteNumbersOnlyWhereAllowed() throws {
    let json = try JSON(parsing: "[NaN, Infinity, -Infinity, 1e999]", limits: .config)
    let values = json.array?.compactMap(\.double) ?? []
    #expect(values.count == 4)
    #expect(values[0].isNaN && values[1] == .infinity && values[2] == -.infinity && values[3] == .infinity)
    #expect(json.serialized() == "[null,null,null,null]")
    #expect(json.serialized(allowsNonFinite: true) == "[NaN,Infinity,-Infinity,Infinity]")
  }

  @Test func textIsSortedAndReadBack() throws {
    let json = JSON.object(["b": .array([.integer(1), .number(0.1)]), "a": .object(["x\"\u{1}": .string("é\t\\")]), "c": .array([.object([:])])])
    #expect(json.serialized() == "{\"a\":{\"x\\\"\\u0001\":\"é\\t\\\\\"},\"b\":[1,0.1],\"c\":[{}]}")
    #expect(json.serialized(pretty: true).hasPrefix("{\n  \"a\": {\n    \"x\\\"\\u0001\": \"é\\t\\\\\"\n  },\n  \"b\": [1, 0.1],\n"))
    for pretty in [false, true] { #expect(try JSON(parsing: json.serialized(pretty: pretty)) == json) }
  }

  @Test func numbersSurviveTheirText() throws {
    var random = SeededRandom(seed: 7)
    for _ in 0..<2000 {
      let value = Double(bitPattern: random.next())
      guard value.isFinite else { continue }
      #expect(try JSON(parsing: JSON.number(value).serialized()).double == value)
    }
  }

  @Test func errorsNameKeyAndByte() throws {
    do throws(CheckpointError) {
      _ = try JSON(parsing: "{\"key\": tru}", file: "f.json")
      Issue.record("no error")
    } catch {
      #expect(error == .invalid(file: "f.json", item: "key", offset: 11, expected: "'true'", found: "'}'"))
      #expect(error.description == "f.json: 'key' at byte 11: expected 'true', found '}'")
    }
  }

  @Test func descriptionsAreFitForTerminals() {
    let error = CheckpointError.missing(file: "a\u{1B}[31m", item: String(repeating: "x", count: 1 << 20))
    #expect(error.description.utf8.count < 1000)
    #expect(!error.description.unicodeScalars.contains { $0.value < 32 })
  }
}
