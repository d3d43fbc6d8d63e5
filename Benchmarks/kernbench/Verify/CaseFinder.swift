// Finds conformance cases below a path and tells their kinds apart by content.

import Foundation
import MoE

/// One file or folder to check.
enum ConformanceCase {
  case layer(String, SafetensorsFile)
  case quants(String, SafetensorsFile)
  case packed(String, SafetensorsFile)
  /// A checkpoint and the file with its expected results.
  case checkpoint(String, expected: String)
  case malformed(String, String)

  func run(_ setting: LayerSetting) -> [CaseResult] {
    switch self {
    case .layer(let path, let file): LayerCase(path: path, file: file).run(setting)
    case .quants(let path, let file): QuantsCase(path: path, file: file).run()
    case .packed(let path, let file): PackedCase(path: path, file: file).run()
    case .checkpoint(let path, let expected): CheckpointCase(path: path, expectedPath: expected).run(setting)
    case .malformed(let path, let message): [.failed(path, message)]
    }
  }
}

enum CaseFinder {
  /// Every case at or below `path`, by name.
  static func cases(below path: String) throws -> [ConformanceCase] {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { throw Failure("\(path): no such file or folder") }
    guard isFolder.boolValue else { return file(path) }
    let names: [String]
    do { names = try FileManager.default.contentsOfDirectory(atPath: path).sorted() } catch {
      throw Failure("\(path): \(error.localizedDescription)")
    }
    if names.contains("config.json") { return folder(path, names) }
    return try names.filter { !$0.hasPrefix(".") }.flatMap { name -> [ConformanceCase] in
      let child = path.hasSuffix("/") ? path + name : "\(path)/\(name)"
      var isFolder: ObjCBool = false
      _ = FileManager.default.fileExists(atPath: child, isDirectory: &isFolder)
      return isFolder.boolValue ? try cases(below: child) : file(child)
    }
  }

  /// A whole checkpoint; shards may share the expected results of the folder without `_sharded`.
  private static func folder(_ path: String, _ names: [String]) -> [ConformanceCase] {
    let own = "\(path)/expected.safetensors"
    if names.contains("expected.safetensors") { return [.checkpoint(path, expected: own)] }
    let trimmed = path.hasSuffix("/") ? String(path.dropLast()) : path
    let sibling = trimmed.replacingOccurrences(of: "_sharded", with: "") + "/expected.safetensors"
    if trimmed.hasSuffix("_sharded"), FileManager.default.fileExists(atPath: sibling) { return [.checkpoint(path, expected: sibling)] }
    return [.malformed(path, "a checkpoint without expected.safetensors")]
  }

  private static func file(_ path: String) -> [ConformanceCase] {
    if path.hasSuffix(".expected.safetensors") { return [] }
    if path.hasSuffix(".gguf") {
      let expected = path.dropLast(".gguf".count) + ".expected.safetensors"
      if let split = path.range(of: "-[0-9]{5}-of-[0-9]{5}", options: .regularExpression), !path[split].hasPrefix("-00001-") { return [] }
      return FileManager.default.fileExists(atPath: String(expected))
        ? [.checkpoint(path, expected: String(expected))] : [.malformed(path, "no \(expected) beside it")]
    }
    guard path.hasSuffix(".safetensors") else { return [] }
    do {
      let file = try SafetensorsFile(path: path)
      let names = file.tensorNames
      if names.contains(where: { $0.hasSuffix(".random.raw") || $0.hasSuffix(".gauss.raw") }) { return [.quants(path, file)] }
      if names.contains(where: { $0.hasPrefix("table.") || $0 == "awq.qweight" }) { return [.packed(path, file)] }
      return [.layer(path, file)]
    } catch { return [.malformed(path, "\(error)")] }
  }
}

extension String {
  /// The last component without its extension.
  var caseName: String {
    let last = split(separator: "/").last.map(String.init) ?? self
    return last.hasSuffix(".safetensors") ? String(last.dropLast(".safetensors".count)) : last
  }
}
