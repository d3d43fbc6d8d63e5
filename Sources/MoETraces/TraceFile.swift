// Routing traces as files.
//
// Little-endian: "MOETRACE", then u32 version, layers, experts, topK, tokens and sequences in all, flags, scores of a choice, values of a sketch,
// bytes of parameters; the SHA-256 of what is before and after it; the parameters in UTF-8; per sequence u32 id, domain, tokens; per token and layer
// topK u16 experts by weight, topK f16 weights; with flag 1 as many u16 experts by score as there are scores, and these in f16; with flag 2 a sketch
// of the hidden state in f16.

public import MoECheckpoint
internal import MoETensors

extension RoutingTrace {
  private static let magic = Array("MOETRACE".utf8), version: UInt32 = 2, headerBytes = 48, digestBytes = 32

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
    let topK = try reader.number("topK", 1...min(experts, Self.limits.topK)), tokens = try reader.number("tokens", 0...Self.limits.choices)
    let count = try reader.number("sequences", 0...Self.limits.sequences), flags = try reader.number("flags", 0...3)
    let scores = try reader.number("scores", flags & 1 == 0 ? 0...0 : topK...experts)
    let sketch = try reader.number("sketch", flags & 2 == 0 ? 0...0 : 1...Self.limits.sketchWidth)
    let parameterBytes = try reader.number("parameters", 0...Self.limits.parameterBytes)
    let stated = Array(try reader.take(Self.digestBytes, "SHA-256")), body = UnsafeRawBufferPointer(rebasing: file.bytes[reader.offset...])
    let found = Self.digest(UnsafeRawBufferPointer(rebasing: file.bytes[..<Self.headerBytes]), body)
    guard stated == found else {
      throw .invalid(file: path, item: "SHA-256", offset: Self.headerBytes, expected: hexadecimal(found), found: hexadecimal(stated))
    }
    let parameters = String(decoding: try reader.take(parameterBytes, "parameters"), as: UTF8.self)
    var sequences: [Sequence] = []
    for _ in 0..<count { sequences.append(try reader.sequence(layers: layers, topK: topK, scores: scores, sketch: sketch)) }
    guard reader.rest == 0 else {
      throw .invalid(file: path, item: "end", offset: reader.offset, expected: "the end of the file", found: "\(reader.rest) more bytes")
    }
    do {
      try self.init(
        layers: layers, experts: experts, topK: topK, scoresPerChoice: scores, sketchWidth: sketch, parameters: parameters, sequences: sequences)
    } catch {
      throw .invalid(file: path, item: "sequences", offset: Self.headerBytes, expected: "choices among \(experts) experts", found: "\(error)")
    }
    guard self.tokens == tokens else {
      throw .invalid(file: path, item: "tokens", offset: 24, expected: "the \(self.tokens) of the sequences", found: "\(tokens)")
    }
  }

  private static func digest(_ head: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer) -> [UInt8] {
    var sum = SHA256()
    sum.update(head)
    sum.update(body)
    return sum.digest()
  }

  /// Writes the trace; the file appears when it is whole.
  ///
  /// - Throws: `CheckpointError.system`.
  public func write(to path: String) throws(CheckpointError) {
    var body: [UInt8] = Array(parameters.utf8)
    for sequence in sequences {
      for number in [sequence.id, sequence.domain, UInt32(tokens(of: sequence))] { body.append(number) }
      let weights = halves(sequence.weights), scores = halves(sequence.scores), sketch = halves(sequence.sketch)
      for choice in 0..<sequence.experts.count / topK {
        for expert in sequence.experts[choice * topK..<(choice + 1) * topK] { body.append(expert) }
        body += weights[2 * choice * topK..<2 * (choice + 1) * topK]
        for expert in sequence.scored[choice * scoresPerChoice..<(choice + 1) * scoresPerChoice] { body.append(expert) }
        body += scores[2 * choice * scoresPerChoice..<2 * (choice + 1) * scoresPerChoice]
        body += sketch[2 * choice * sketchWidth..<2 * (choice + 1) * sketchWidth]
      }
    }
    let flags = (scoresPerChoice > 0 ? 1 : 0) | (sketchWidth > 0 ? 2 : 0)
    var head = Self.magic
    head.append(Self.version)
    for number in [layers, experts, topK, tokens, sequences.count, flags, scoresPerChoice, sketchWidth, parameters.utf8.count] {
      head.append(UInt32(number))
    }
    head += head.withUnsafeBytes { head in body.withUnsafeBytes { Self.digest(head, $0) } }
    let file = try PartialFile(path: path)
    try file.write(head)
    try file.write(body)
    try file.seal()
    try file.publish()
  }
}

private func halves(_ values: [Float]) -> [UInt8] { try! WeightFormat.f16.encode(values) }

private func hexadecimal(_ bytes: [UInt8]) -> String { bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() }

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

  mutating func sequence(layers: Int, topK: Int, scores: Int, sketch: Int) throws(CheckpointError) -> RoutingTrace.Sequence {
    let id = try number("id"), domain = try number("domain"), tokens = try number("tokens"), bytes = 4 * topK + 4 * scores + 2 * sketch
    guard let size = CheckedSize(tokens)?.times(CheckedSize(layers * bytes)!) else { throw .overflow(file: file, item: "tokens", offset: offset - 4) }
    let records = try take(size.value, "sequence \(id)"), choices = Int(tokens) * layers
    /// The numbers that begin at a byte of every record.
    func integers(_ count: Int, at start: Int) -> [UInt16] {
      var values: [UInt16] = []
      values.reserveCapacity(choices * count)
      for choice in 0..<choices {
        for index in 0..<count {
          values.append(records.loadUnaligned(fromByteOffset: choice * bytes + start + 2 * index, as: UInt16.self).littleEndian)
        }
      }
      return values
    }
    func floats(_ count: Int, at start: Int) -> [Float] {
      let halves = integers(count, at: start).map(\.littleEndian)
      return try! halves.withUnsafeBytes { try WeightFormat.f16.decode($0, count: halves.count) }
    }
    return RoutingTrace.Sequence(
      id: id, domain: domain, experts: integers(topK, at: 0), weights: floats(topK, at: 2 * topK), scored: integers(scores, at: 4 * topK),
      scores: floats(scores, at: 4 * topK + 2 * scores), sketch: floats(sketch, at: 4 * topK + 4 * scores))
  }
}
