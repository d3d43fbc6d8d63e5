// What can be wrong with a checkpoint.

/// A file that could not be read as a checkpoint, or not be written.
///
/// `file` is the path as opened, `item` the tensor, key or field at fault, `offset` the byte of the file where it starts.
public enum CheckpointError: Error, Equatable, Sendable {
  /// A system call failed; `code` is its `errno`.
  case system(file: String, call: String, code: Int32)
  /// The path leads to a directory, FIFO, device or socket.
  case notRegularFile(file: String, found: String)
  /// `item` (a shard, a tensor, a file of a folder) is not there.
  case missing(file: String, item: String)
  /// `item` needs `expected` bytes from `offset` on and `found` are left.
  case truncated(file: String, item: String, offset: Int, expected: UInt64, found: Int)
  /// `item` is `found` where the readers stop at `limit`: see `CheckpointLimits`.
  case limit(file: String, item: String, offset: Int, limit: Int, found: UInt64)
  /// The size of `item` does not fit in the address space.
  case overflow(file: String, item: String, offset: Int)
  /// `item` is not what the format demands.
  case invalid(file: String, item: String, offset: Int, expected: String, found: String)
  /// The name `item` occurs twice.
  case duplicate(file: String, item: String, offset: Int)
  /// `item` has elements of a type the package does not know.
  case unknownType(file: String, item: String, offset: Int, type: String)
  /// The file is well formed as far as read but of a kind that is not read: big-endian, an old version, a later shard.
  case unsupported(file: String, item: String, offset: Int, expected: String, found: String)
}

extension CheckpointError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .system(let file, let call, let code): "\(clip(file)): \(call) failed: \(systemMessage(code))"
    case .notRegularFile(let file, let found): "\(clip(file)): expected a regular file, found a \(found)"
    case .missing(let file, let item): "\(clip(file)): '\(clip(item))' is missing"
    case .truncated(let file, let item, let offset, let expected, let found):
      "\(place(file, item, offset)): needs \(expected) bytes, found \(found)"
    case .limit(let file, let item, let offset, let limit, let found):
      "\(place(file, item, offset)): \(found) is beyond the limit of \(limit)"
    case .overflow(let file, let item, let offset): "\(place(file, item, offset)): the size overflows"
    case .invalid(let file, let item, let offset, let expected, let found):
      "\(place(file, item, offset)): expected \(clip(expected)), found \(clip(found))"
    case .duplicate(let file, let item, let offset): "\(place(file, item, offset)): the name occurs twice"
    case .unknownType(let file, let item, let offset, let type):
      "\(place(file, item, offset)): elements of the unknown type \(clip(type))"
    case .unsupported(let file, let item, let offset, let expected, let found):
      "\(place(file, item, offset)): \(clip(found)) is not supported, expected \(clip(expected))"
    }
  }

  private func place(_ file: String, _ item: String, _ offset: Int) -> String {
    "\(clip(file)): '\(clip(item))' at byte \(offset)"
  }
}

/// `text` fit for a terminal: control characters escaped, the middle of long texts left out.
func clip(_ text: String) -> String {
  func escaped(_ scalars: some Sequence<Unicode.Scalar>) -> String {
    var result = ""
    for scalar in scalars {
      if scalar.value < 32 || (127..<160).contains(scalar.value) {
        result += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
  let scalars = text.unicodeScalars
  guard text.utf8.count > 400 else { return escaped(scalars) }
  return escaped(scalars.prefix(180)) + "..." + escaped(scalars.suffix(180))
}
