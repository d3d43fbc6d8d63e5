// One safetensors file.

public import MoETensors

/// A safetensors file: eight bytes of header length, a JSON header, the tensors' bytes.
///
/// Reads what the format's Rust implementation reads (https://github.com/huggingface/safetensors), with its demands: header of at most
/// 100 MB that starts with `{`, unique names, tensors that cover the data exactly without holes or overlap. Beyond that a member
/// of a tensor other than `dtype`, `shape` and `data_offsets` is refused.
public final class SafetensorsFile: TensorSource {
  /// The texts under `__metadata__`.
  public let metadata: [String: String]
  private let file: FileBytes
  private let table: TensorTable

  /// Opens the file and checks its whole header; tensor bytes are not looked at.
  ///
  /// - Throws: any `CheckpointError` of reading, naming the tensor and the byte of the header at fault.
  public init(path: String, mode: LoadMode = .mapped) throws(CheckpointError) {
    let file = try FileBytes(path: path, mode: mode)
    var header = SafetensorsHeader()
    try withExtendedLifetime(file) { () throws(CheckpointError) in try header.read(file) }
    self.file = file
    metadata = header.metadata
    table = header.table
  }

  /// The file as opened.
  public var path: String { file.path }
  /// Names of all tensors.
  public var tensorNames: [String] { table.entries.map(\.name) }
  /// Path, container and counts, for messages.
  public var fileDescription: String { "\(file.path) (safetensors, \(table.entries.count) tensors)" }

  /// The tensor called `name`, nil when there is none; its bytes are borrowed from the file.
  public func tensor(_ name: String) throws(CheckpointError) -> TensorView? {
    guard let entry = table[name] else { return nil }
    return try entry.view(in: file)
  }
}
