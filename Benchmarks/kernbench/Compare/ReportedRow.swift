// Rows as a report file has them.

import MoE

/// A row of a report, as far as comparing needs it.
struct ReportedRow {
  /// What two rows have in common that measured the same thing.
  struct Key: Hashable {
    let layer: String, format: String, activations: String, tokens: Int, threads: Int, device: String
    /// The kernels without their instruction set.
    let kernel: String
    /// The system of a row of `peers`, empty for this package's.
    let system: String
    /// 0 for the first such row of the file, 1 for the second.
    var occurrence = 0

    var words: [String] {
      let name = system.isEmpty ? layer : "\(system): \(layer)"
      return [occurrence == 0 ? name : "\(name) #\(occurrence + 1)", format, activations, "\(tokens)", "\(threads)", device]
    }
  }

  struct Times {
    let medianMs: Double
    let samplesMs: [Double]
    let spread: Double?
  }

  let key: Key
  /// Nil for a row that was out of its bound.
  let times: Times?
}

/// A report file: its rows in order.
struct ReportedRows {
  let cpu: String
  /// Peaks of the machine; nil where the report has none.
  let readGBps: Double?
  let fmaGflops: Double?
  let rows: [ReportedRow]

  /// - Throws: `Failure` naming the file and the key at fault.
  init(path: String) throws {
    let json: JSON
    do { json = try JSON(path: path, limits: .init(values: 1 << 22, bytes: 64 << 20)) } catch { throw Failure("\(error)") }
    let report = Member(path: path, name: "", value: json)
    let machine = try report["machine"]
    cpu = try machine["cpu"].string
    readGBps = try machine.optional("readGBps")?.rate
    fmaGflops = try machine.optional("fmaGflops")?.rate
    let tables = Set(KernelTable.runnable.map(\.name) + KernelTable.missing + [try machine["isa"].string])
    var seen: [ReportedRow.Key: Int] = [:]
    rows = try report["rows"].elements.map { row in
      var key = ReportedRow.Key(
        layer: try row["layer"].string, format: try row["format"].string, activations: try row["activations"].string,
        tokens: try row["tokens"].whole, threads: try row["threads"].whole, device: try row["device"].string,
        kernel: Self.family(try row["kernel"].string, tables), system: try row.optional("system")?.string ?? "")
      let occurrence = seen[key, default: 0]
      seen[key] = occurrence + 1
      key.occurrence = occurrence
      let median = try row["medianMs"]
      guard !median.value.isNull else { return ReportedRow(key: key, times: nil) }
      let samples = try row.optional("samplesMs").map { try $0.elements.map { try $0.time } } ?? []
      return ReportedRow(
        key: key, times: .init(medianMs: try median.time, samplesMs: samples, spread: try row.optional("spread")?.share))
    }
  }

  /// "gemm_q4_k/gemm_q6_k" of "gemm_q4_k_avx2/gemm_q6_k_avx2".
  private static func family(_ kernel: String, _ tables: Set<String>) -> String {
    kernel.split(separator: "/").map { name in
      guard let dash = name.lastIndex(of: "_"), tables.contains(String(name[name.index(after: dash)...])) else { return String(name) }
      return String(name[..<dash])
    }.joined(separator: "/")
  }
}

/// A value of a report and the way to it, for errors.
private struct Member {
  let path: String
  let name: String
  let value: JSON

  subscript(key: String) -> Member {
    get throws {
      guard value.object != nil else { throw wrong("an object") }
      guard let found = value[key] else { throw Failure("\(path): \(step(key)) is missing") }
      return Member(path: path, name: step(key), value: found)
    }
  }

  /// The member, nil when there is none or it is null.
  func optional(_ key: String) throws -> Member? {
    guard value[key].map({ !$0.isNull }) ?? false else { return nil }
    return try self[key]
  }

  var elements: [Member] {
    get throws {
      guard let array = value.array else { throw wrong("an array") }
      return array.enumerated().map { Member(path: path, name: "\(name)[\($0)]", value: $1) }
    }
  }

  var string: String {
    get throws {
      guard let string = value.string else { throw wrong("a text") }
      return string
    }
  }

  var whole: Int {
    get throws {
      guard let int = value.int, int > 0 else { throw wrong("a whole number above 0") }
      return int
    }
  }

  var time: Double { get throws { try positive("a time") } }

  var rate: Double { get throws { try positive("a rate") } }

  private func positive(_ what: String) throws -> Double {
    guard let value = value.double, value > 0, value.isFinite else { throw wrong("\(what) above 0") }
    return value
  }

  var share: Double {
    get throws {
      guard let share = value.double, share >= 0, share.isFinite else { throw wrong("a number from 0") }
      return share
    }
  }

  private func step(_ key: String) -> String { name.isEmpty ? key : "\(name).\(key)" }
  private func wrong(_ expected: String) -> Failure { Failure("\(path): \(name.isEmpty ? "the report" : name) is not \(expected)") }
}
