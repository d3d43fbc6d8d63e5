// The part that all writers share: bytes come in, tensor by tensor, as declared.

internal import MoETensors

/// Writes the declared tensors' bytes in order behind a header, with padding where the format wants it.
final class TensorStream {
  let file: PartialFile
  private let tensors: [TensorDeclaration]
  private let sizes: [Int]
  /// Bytes every tensor starts at a multiple of, counted from the data's start; the header is padded by its writer.
  private let alignment: Int
  private var current = 0
  private var written = 0
  private(set) var isFinished = false

  init(
    path: String, header: [UInt8], tensors: [TensorDeclaration], sizes: [Int], alignment: Int
  ) throws(CheckpointError) {
    file = try PartialFile(path: path)
    self.tensors = tensors
    self.sizes = sizes
    self.alignment = alignment
    try file.write(header)
    try skipEmpty()
  }

  /// The tensor that the next bytes belong to, nil when all are written.
  var next: TensorDeclaration? { current < tensors.count ? tensors[current] : nil }

  func append(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    if bytes.isEmpty { return }
    guard let tensor = next, !isFinished else { throw misuse("end", "no more bytes", "\(bytes.count) bytes") }
    guard bytes.count <= sizes[current] - written else {
      throw misuse(tensor.name, "\(sizes[current] - written) more bytes", "\(bytes.count)")
    }
    try file.write(bytes)
    written += bytes.count
    if written == sizes[current] {
      try pad()
      current += 1
      written = 0
      try skipEmpty()
    }
  }

  func append(_ view: TensorView) throws(CheckpointError) {
    // Tensors without bytes have been passed over.
    if view.bytes.isEmpty { return }
    let found = TensorDeclaration(view)
    guard let tensor = next, tensor == found, written == 0 else {
      throw misuse(view.name, next.map { "\($0.name), \($0.type) \($0.shape)" } ?? "no more tensors", "\(found.type) \(found.shape)")
    }
    try append(view.bytes)
  }

  /// Demands that every tensor is complete; brings the bytes to the disk.
  func seal() throws(CheckpointError) {
    guard next == nil else {
      throw misuse(next?.name ?? "", "\(sizes[current]) bytes", "\(written)")
    }
    guard !isFinished else { throw misuse("end", "one call of finish", "another") }
    isFinished = true
    try file.seal()
  }

  private func pad() throws(CheckpointError) {
    let rest = sizes[current] % alignment
    if rest != 0 { try file.write([UInt8](repeating: 0, count: alignment - rest)) }
  }

  private func skipEmpty() throws(CheckpointError) {
    while current < tensors.count, sizes[current] == 0 { current += 1 }
  }

  private func misuse(_ item: String, _ expected: String, _ found: String) -> CheckpointError {
    .invalid(file: file.path, item: item, offset: file.count, expected: expected, found: found)
  }
}
