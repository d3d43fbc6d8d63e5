// Files put together byte by byte, so that they can be wrong in every way.

import MoECheckpoint
import MoETensors
import Testing

/// A safetensors file of this header text and data.
func safetensors(_ header: String, data: Int = 0, length: UInt64? = nil) -> [UInt8] {
  let header = Array(header.utf8)
  return littleEndian(length ?? UInt64(header.count)) + header + (0..<data).map { UInt8(truncatingIfNeeded: $0) }
}

func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { [UInt8]($0) } }

/// A GGUF file in parts, each of which can be set to anything.
struct RawGGUF {
  struct Tensor {
    var name = "t"
    var nameLength: UInt64?
    var rank: UInt32?
    /// Innermost first, as in the file.
    var dimensions: [UInt64] = [8]
    var type: UInt32 = 0
    var offset: UInt64 = 0
  }

  var magic: [UInt8] = Array("GGUF".utf8)
  var version: UInt32 = 3
  var tensorCount: UInt64?
  var keyCount: UInt64?
  /// Key and encoded type and value.
  var keys: [(String, [UInt8])] = []
  var tensors: [Tensor] = []
  var alignment = 32
  var data = 0

  static func string(_ text: String, length: UInt64? = nil) -> [UInt8] {
    littleEndian(length ?? UInt64(text.utf8.count)) + Array(text.utf8)
  }
  static func u32(_ value: UInt32) -> [UInt8] { littleEndian(UInt32(4)) + littleEndian(value) }
  static func array(_ type: UInt32, count: UInt64, _ content: [UInt8] = []) -> [UInt8] {
    littleEndian(UInt32(9)) + littleEndian(type) + littleEndian(count) + content
  }

  var bytes: [UInt8] {
    var bytes = magic + littleEndian(version)
    bytes += littleEndian(tensorCount ?? UInt64(tensors.count)) + littleEndian(keyCount ?? UInt64(keys.count))
    for (key, value) in keys { bytes += Self.string(key) + value }
    for tensor in tensors {
      bytes += Self.string(tensor.name, length: tensor.nameLength) + littleEndian(tensor.rank ?? UInt32(tensor.dimensions.count))
      for dimension in tensor.dimensions { bytes += littleEndian(dimension) }
      bytes += littleEndian(tensor.type) + littleEndian(tensor.offset)
    }
    while alignment > 0, bytes.count % alignment != 0 { bytes.append(0) }
    return bytes + (0..<data).map { UInt8(truncatingIfNeeded: $0) }
  }
}

/// Opens the bytes in both modes, demands the same outcome, reads every byte of every tensor.
@discardableResult
func outcome(of bytes: [UInt8], _ name: String, in folder: TemporaryFolder, modes: [LoadMode] = [.mapped, .copied]) throws -> CheckpointError? {
  let path = try folder.write(bytes, name)
  var errors: [CheckpointError?] = []
  for mode in modes {
    do throws(CheckpointError) {
      let checkpoint = try Checkpoint(path: path, mode: mode)
      _ = try sum(checkpoint.tensors)
      errors.append(nil)
    } catch {
      #expect(!error.description.isEmpty)
      errors.append(error)
    }
  }
  #expect(errors.allSatisfy { $0 == errors[0] })
  return errors[0]
}

/// A sum over all bytes of all tensors, so that each is touched.
func sum(_ source: any TensorSource) throws(CheckpointError) -> UInt64 {
  var total: UInt64 = 0
  for name in source.tensorNames {
    guard let view = try source.tensor(name) else { throw .missing(file: source.fileDescription, item: name) }
    for byte in view.bytes { total &+= UInt64(byte) }
  }
  return total
}

/// The case of an error, without its values.
func kind(_ error: CheckpointError?) -> String {
  switch error {
  case nil: "none"
  case .system: "system"
  case .notRegularFile: "notRegularFile"
  case .missing: "missing"
  case .truncated: "truncated"
  case .limit: "limit"
  case .overflow: "overflow"
  case .invalid: "invalid"
  case .duplicate: "duplicate"
  case .unknownType: "unknownType"
  case .unsupported: "unsupported"
  }
}
