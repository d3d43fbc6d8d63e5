// Split GGUF sets: `NAME-00001-of-00003.gguf` and the keys `split.*`.

/// The set that a first file announces.
struct GGUFSplit {
  /// Files of the set.
  let count: Int
  /// Tensors of the whole set, nil when the file does not say.
  let tensors: Int?
  /// Paths of all files but the first.
  let companions: [String]

  /// Nil for a file that is not split.
  init?(_ metadata: [String: GGUFValue], path: String) throws(CheckpointError) {
    guard let value = metadata["split.count"] else { return nil }
    guard let count = value.int, (0...Int(UInt16.max)).contains(count) else {
      throw .invalid(
        file: path, item: "split.count", offset: 0, expected: "UINT16", found: value.int.map(String.init) ?? value.typeName)
    }
    guard count > 1 else { return nil }
    let number = try Self.number(metadata, path: path)
    guard number == 0 else {
      throw .unsupported(
        file: path, item: "split.no", offset: 0, expected: "the first file of a split set", found: "file \(number + 1) of \(count)")
    }
    let suffix = Self.suffix(0, of: count)
    guard path.hasSuffix(suffix), path.utf8.count > suffix.utf8.count else {
      throw .invalid(
        file: path, item: "split.count", offset: 0, expected: "a file name ending in \(suffix)", found: "'\(Paths.name(of: path))'")
    }
    if let value = metadata["split.tensors.count"] {
      guard let tensors = value.int, tensors >= 0 else {
        throw .invalid(
          file: path, item: "split.tensors.count", offset: 0, expected: "INT32 of zero or more",
          found: value.int.map(String.init) ?? value.typeName)
      }
      self.tensors = tensors
    } else {
      tensors = nil
    }
    self.count = count
    let stem = path.dropLast(suffix.count)
    companions = (1..<count).map { stem + Self.suffix($0, of: count) }
  }

  /// "-00001-of-00003.gguf" for number 0 of 3.
  static func suffix(_ number: Int, of count: Int) -> String { "-\(digits(number + 1))-of-\(digits(count)).gguf" }

  /// 0 for a name ending in "-00001-of-00003.gguf", nil for a name without such an ending.
  static func number(inName name: String) -> Int? {
    let parts = name.dropLast(5).split(separator: "-", omittingEmptySubsequences: false)
    guard name.hasSuffix(".gguf"), parts.count >= 4, parts[parts.count - 2] == "of", let count = Int(parts[parts.count - 1]),
      let number = Int(parts[parts.count - 3]), number >= 1, number <= count, name.hasSuffix(suffix(number - 1, of: count))
    else { return nil }
    return number - 1
  }

  private static func digits(_ number: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, 5 - text.count)) + text
  }

  private static func number(_ metadata: [String: GGUFValue], path: String) throws(CheckpointError) -> Int {
    guard let value = metadata["split.no"] else { throw .missing(file: path, item: "split.no") }
    guard let number = value.int, number >= 0, number <= Int(UInt16.max) else {
      throw .invalid(
        file: path, item: "split.no", offset: 0, expected: "UINT16", found: value.int.map(String.init) ?? value.typeName)
    }
    return number
  }

  /// Demands that the file at `path` is `number` of this set.
  func check(_ metadata: [String: GGUFValue], number: Int, path: String) throws(CheckpointError) {
    let found = try Self.number(metadata, path: path)
    guard found == number else {
      throw .invalid(file: path, item: "split.no", offset: 0, expected: "\(number)", found: "\(found)")
    }
    guard metadata["split.count"]?.int == count else {
      throw .invalid(
        file: path, item: "split.count", offset: 0, expected: "\(count)", found: metadata["split.count"]?.int.map(String.init) ?? "none")
    }
  }

  /// Demands that the files hold as many tensors as the first announced.
  func check(tensors found: Int, path: String) throws(CheckpointError) {
    guard let tensors, tensors != found else { return }
    throw .invalid(file: path, item: "split.tensors.count", offset: 0, expected: "\(tensors) tensors", found: "\(found)")
  }
}
