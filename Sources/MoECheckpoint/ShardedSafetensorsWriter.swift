// Writing a safetensors checkpoint of several files with an index.

public import MoETensors

/// Writes `model-00001-of-0000N.safetensors`, ... and `model.safetensors.index.json`, or a lone `model.safetensors` when all fits one shard.
///
/// Tensors go to shards in the order declared, a shard being closed when the next tensor would pass `maximumShardBytes`. No file
/// has its name before `finish`, which renames the shards, then writes `config.json` and at last the index.
public struct ShardedSafetensorsWriter: ~Copyable {
  private let folder: String
  private let config: JSON?
  private let plan: ShardPlan
  private let tensors: [TensorDeclaration]
  private let metadata: [String: String]
  private var current: TensorStream?
  private var sealed: [TensorStream]
  private var isFinished: Bool

  /// Plans the shards and starts the first. `folder` is made unless it is there.
  ///
  /// - Parameters:
  ///   - maximumShardBytes: tensor bytes of one shard; a bigger tensor gets a shard of its own.
  ///   - config: written as `config.json`.
  /// - Throws: the errors of `SafetensorsWriter`; `.invalid` when the folder holds a checkpoint of the other layout (single or indexed).
  public init(
    folder: String, tensors: [TensorDeclaration], metadata: [String: String] = ["format": "pt"],
    maximumShardBytes: Int = 5_000_000_000, config: JSON? = nil
  ) throws(CheckpointError) {
    let plan = try ShardPlan(tensors, folder: folder, maximumShardBytes: maximumShardBytes)
    try Paths.make(folder)
    // A reader of the folder would take the other layout's files for this checkpoint's.
    let other = plan.ranges.count == 1 ? "model.safetensors.index.json" : "model.safetensors"
    guard Paths.kind(of: Paths.join(folder, other)) == .nothing else {
      throw .invalid(file: folder, item: other, offset: 0, expected: "a folder without it", found: "an older checkpoint")
    }
    let first = try Self.stream(plan, 0, folder: folder, tensors: tensors, metadata: metadata)
    self.plan = plan
    self.folder = folder
    self.config = config
    self.tensors = tensors
    self.metadata = metadata
    current = first
    sealed = []
    isFinished = false
  }

  /// Names of the files with tensors, in order.
  public var shardNames: [String] { plan.names }
  /// The tensor that the next bytes belong to, nil when all are written.
  public var next: TensorDeclaration? { current?.next }

  /// Appends bytes of the current tensor; the last of them moves on to the next, in the next shard if need be.
  ///
  /// - Throws: `.invalid` for more bytes than the tensor has left, `.system`.
  public mutating func append(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    if bytes.isEmpty { return }
    guard let current else { throw misuse("no more bytes", "\(bytes.count) bytes") }
    try current.append(bytes)
    try advance()
  }

  /// Appends bytes held in an array.
  public mutating func append(_ bytes: [UInt8]) throws(CheckpointError) {
    if bytes.isEmpty { return }
    guard let current else { throw misuse("no more bytes", "\(bytes.count) bytes") }
    try bytes.withUnsafeBufferPointer { (bytes) throws(CheckpointError) in try current.append(UnsafeRawBufferPointer(bytes)) }
    try advance()
  }

  /// Appends a whole tensor, which must be the one declared next.
  public mutating func append(_ view: TensorView) throws(CheckpointError) {
    if view.bytes.isEmpty { return }
    guard let current else { throw misuse("no more tensors", view.name) }
    try current.append(view)
    try advance()
  }

  /// Gives all files their names, the index last.
  ///
  /// - Throws: `.invalid` when bytes are missing, `.system`.
  public mutating func finish() throws(CheckpointError) {
    guard !isFinished else { throw misuse("one call of finish", "another") }
    if let last = current {
      try last.seal()
      sealed.append(last)
      current = nil
    }
    isFinished = true
    for stream in sealed { try stream.file.publish() }
    sealed = []
    if let config { try config.write(path: Paths.join(folder, "config.json")) }
    if plan.ranges.count > 1 { try plan.index.write(path: Paths.join(folder, "model.safetensors.index.json")) }
  }

  private static func stream(
    _ plan: ShardPlan, _ number: Int, folder: String, tensors: [TensorDeclaration], metadata: [String: String]
  ) throws(CheckpointError) -> TensorStream {
    let path = Paths.join(folder, plan.names[number])
    return try SafetensorsWriter(path: path, tensors: Array(tensors[plan.ranges[number]]), metadata: metadata).stream
  }

  /// Seals a shard that is complete and starts the next.
  private mutating func advance() throws(CheckpointError) {
    guard let stream = current, stream.next == nil else { return }
    try stream.seal()
    sealed.append(stream)
    current = nil
    if sealed.count < plan.ranges.count {
      current = try Self.stream(plan, sealed.count, folder: folder, tensors: tensors, metadata: metadata)
    }
  }

  private func misuse(_ expected: String, _ found: String) -> CheckpointError {
    .invalid(file: folder, item: "end", offset: 0, expected: expected, found: found)
  }
}
