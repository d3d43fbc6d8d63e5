// Routing traces as files.
//
// Little-endian: "MOETRACE", then u32 version, layers, experts, topK, sequences, bytes of parameters, u64 checksum of what is before and after it;
// the parameters in UTF-8; per sequence u32 id, domain, tokens; per token and layer topK u16 experts, then topK f16 weights.

public import MoECheckpoint
internal import MoETensors

extension RoutingTrace {
  private static let magic = Array("MOETRACE".utf8), version: UInt32 = 1, headerBytes = 40

  /// Reads a trace.
  ///
  /// - Throws: `CheckpointError` naming file, field, offset and what was expected.
  public init(path: String) throws(CheckpointError) {
    let file = try FileBytes(path: path, mode: .copied, limit: 1 << 34)
    var reader = TraceReader(file: path, bytes: file.bytes)
    guard try Array(reader.take(8, "magic")) == Self.magic else {
      throw .invalid(file: path, item: "magic", offset: 0, expected: "MOETRACE", found: "other bytes")
    }
    let version = try reader.number("version")
    guard version == Self.version else {
      throw .unsupported(file: path, item: "version", offset: 8, expected: "\(Self.version)", found: "\(version)")
    }
    let layers = try reader.number("layers", 1...Self.limits.layers), experts = try reader.number("experts", 1...Self.limits.experts)
    let topK = try reader.number("topK", 1...min(experts, Self.limits.topK)), count = try reader.number("sequences", 0...Self.limits.sequences)
    let parameterBytes = try reader.number("parameters", 0...Self.limits.parameterBytes)
    let stated = try reader.take(8, "checksum").loadUnaligned(as: UInt64.self).littleEndian
    let found = Self.checksum(file.bytes[..<(Self.headerBytes - 8)], file.bytes[Self.headerBytes...])
    guard stated == found else {
      throw .invalid(file: path, item: "checksum", offset: 32, expected: String(found, radix: 16), found: String(stated, radix: 16))
    }
    let parameters = String(decoding: try reader.take(parameterBytes, "parameters"), as: UTF8.self)
    var sequences: [Sequence] = []
    for _ in 0..<count { sequences.append(try reader.sequence(layers: layers, topK: topK)) }
    guard reader.rest == 0 else {
      throw .invalid(file: path, item: "end", offset: reader.offset, expected: "the end of the file", found: "\(reader.rest) more bytes")
    }
    do { try self.init(layers: layers, experts: experts, topK: topK, parameters: parameters, sequences: sequences) } catch {
      throw .invalid(file: path, item: "sequences", offset: Self.headerBytes, expected: "choices among \(experts) experts", found: "\(error)")
    }
  }

  private static func checksum(_ head: Slice<UnsafeRawBufferPointer>, _ body: Slice<UnsafeRawBufferPointer>) -> UInt64 {
    Checksum.of([Checksum.of(UnsafeRawBufferPointer(rebasing: head)), Checksum.of(UnsafeRawBufferPointer(rebasing: body))])
  }

  /// Writes the trace; the file appears when it is whole.
  ///
  /// - Throws: `CheckpointError.system`.
  public func write(to path: String) throws(CheckpointError) {
    var body: [UInt8] = Array(parameters.utf8)
    for sequence in sequences {
      for number in [sequence.id, sequence.domain, UInt32(tokens(of: sequence))] { body.append(number) }
      let halves = try! WeightFormat.f16.encode(sequence.weights)
      for first in stride(from: 0, to: sequence.experts.count, by: topK) {
        for expert in sequence.experts[first..<first + topK] { body.append(expert) }
        body += halves[2 * first..<2 * (first + topK)]
      }
    }
    var head = Self.magic
    for number in [Self.version, UInt32(layers), UInt32(experts), UInt32(topK), UInt32(sequences.count), UInt32(parameters.utf8.count)] {
      head.append(number)
    }
    head.append(head.withUnsafeBytes { head in body.withUnsafeBytes { Self.checksum(head[...], $0[...]) } })
    let file = try PartialFile(path: path)
    try file.write(head)
    try file.write(body)
    try file.seal()
    try file.publish()
  }
}

extension [UInt8] {
  fileprivate mutating func append(_ number: some FixedWidthInteger) { Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) } }
}

private struct TraceReader {
  let file: String
  let bytes: UnsafeRawBufferPointer
  private(set) var offset = 0

  init(file: String, bytes: UnsafeRawBufferPointer) { (self.file, self.bytes) = (file, bytes) }

  var rest: Int { bytes.count - offset }

  mutating func take(_ count: Int, _ item: String) throws(CheckpointError) -> UnsafeRawBufferPointer {
    guard count <= rest else { throw .truncated(file: file, item: item, offset: offset, expected: UInt64(count), found: rest) }
    defer { offset += count }
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
  }

  mutating func number(_ item: String) throws(CheckpointError) -> UInt32 { try take(4, item).loadUnaligned(as: UInt32.self).littleEndian }

  mutating func number(_ item: String, _ range: ClosedRange<Int>) throws(CheckpointError) -> Int {
    let place = offset, found = Int(try number(item))
    guard range ~= found else {
      throw .invalid(file: file, item: item, offset: place, expected: "\(range.lowerBound) ... \(range.upperBound)", found: "\(found)")
    }
    return found
  }

  mutating func sequence(layers: Int, topK: Int) throws(CheckpointError) -> RoutingTrace.Sequence {
    let id = try number("id"), domain = try number("domain"), tokens = try number("tokens")
    guard let size = CheckedSize(tokens)?.times(CheckedSize(layers * topK * 4)!) else {
      throw .overflow(file: file, item: "tokens", offset: offset - 4)
    }
    let records = try take(size.value, "sequence \(id)")
    var experts: [UInt16] = [], halves: [UInt8] = []
    experts.reserveCapacity(size.value / 4)
    halves.reserveCapacity(size.value / 2)
    for record in stride(from: 0, to: records.count, by: 4 * topK) {
      for rank in 0..<topK { experts.append(records.loadUnaligned(fromByteOffset: record + 2 * rank, as: UInt16.self).littleEndian) }
      halves += records[record + 2 * topK..<record + 4 * topK]
    }
    let weights = try! halves.withUnsafeBytes { bytes in try WeightFormat.f16.decode(bytes, count: experts.count) }
    return RoutingTrace.Sequence(id: id, domain: domain, experts: experts, weights: weights)
  }
}
