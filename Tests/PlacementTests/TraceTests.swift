// Traces: generators against measured figures, files there and back, broken files.

import Foundation
import MoECheckpoint
import MoETraces
import Testing

@Suite struct TraceTests {
  /// A file in the temporary folder, removed afterwards.
  func withFile(_ body: (String) throws -> Void) rethrows {
    let path = NSTemporaryDirectory() + "trace-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try body(path)
  }

  @Test(arguments: TracePreset.all.map(\.name))
  func presets(_ name: String) throws {
    let preset = try TracePreset(named: name), trace = try RoutingTrace(preset, layers: 2, sequences: 3, tokens: 150, seed: 7)
    #expect(trace.tokens == 450)
    #expect(try RoutingTrace(preset, layers: 2, sequences: 3, tokens: 150, seed: 7) == trace)
    if preset.law != .constant, preset.law != .cyclic { #expect(try RoutingTrace(preset, layers: 2, sequences: 3, tokens: 150, seed: 8) != trace) }
    for sequence in trace.sequences {
      for token in 0..<150 {
        for layer in 0..<2 {
          let choice = trace.choice(sequence, token: token, layer: layer)
          #expect(choice.count == preset.topK && Set(choice).count == preset.topK)
        }
      }
      #expect(trace.offsets(sequence, tokens: 0..<150, layer: 1).last == 150 * preset.topK)
    }
    try withFile { path in
      try trace.write(to: path)
      let read = try RoutingTrace(path: path)
      #expect(read.sequences.map(\.experts) == trace.sequences.map(\.experts))
      #expect(zip(read.sequences.flatMap(\.weights), trace.sequences.flatMap(\.weights)).allSatisfy { abs($0 - $1) <= 0.001 })
      #expect(read.parameters == trace.parameters)
      try read.write(to: path)
      #expect(try RoutingTrace(path: path) == read)
    }
  }

  /// Where all layers follow paths alone, a token's experts in one layer tell those in another.
  @Test func layersShareAPath() throws {
    func repeated(_ paths: Double) throws -> Int {
      let shares = GaussianShares(global: 0, sequence: 0, short: 1, memory: 0, paths: paths)
      let trace = try RoutingTrace(TracePreset(name: "x", experts: 16, topK: 2, law: .gaussian(shares)), layers: 2, sequences: 1, tokens: 400)
      let sequence = trace.sequences[0]
      let pairs = (0..<400).map { token in (0..<2).map { trace.choice(sequence, token: token, layer: $0).first! } }
      return pairs.count - Set(pairs).count
    }
    #expect(try repeated(1) > repeated(0))
  }

  struct Consistency: Sendable {
    var preset: String
    var published: Double
  }

  /// The best F1 of calling an expert active or not for 16 tokens (SRP of "Not All Models Suit Expert Offloading"), pooled over all positions and experts.
  @Test(arguments: [
    Consistency(preset: "qwen3-like", published: 0.547), Consistency(preset: "olmoe-like", published: 0.537),
    Consistency(preset: "dsv2lite-like", published: 0.395),
  ])
  func localConsistency(_ figure: Consistency) throws {
    let trace = try RoutingTrace(TracePreset(named: figure.preset), layers: 1, sequences: 24, tokens: 512, seed: 5), segment = 16
    var pairs = Array(repeating: 0.0, count: segment + 1)
    for sequence in trace.sequences {
      var counts = Array(repeating: 0, count: trace.experts)
      for token in 0..<trace.tokens(of: sequence) {
        for expert in trace.choice(sequence, token: token, layer: 0) { counts[Int(expert)] += 1 }
        if token >= segment { for expert in trace.choice(sequence, token: token - segment, layer: 0) { counts[Int(expert)] -= 1 } }
        if token >= segment - 1 { for count in counts { pairs[count] += 1 } }
      }
    }
    let active = pairs.indices.reduce(0) { $0 + Double($1) * pairs[$1] }
    let best = (1...segment).map { threshold in
      let matches = (threshold...segment).reduce(0) { $0 + Double($1) * pairs[$1] }
      return 2 * matches / (Double(segment) * pairs[threshold...].reduce(0, +) + active)
    }.max()!
    #expect(abs(best - figure.published) < 0.03)
  }

  /// The larger the share that is fixed for the model, the less even the loads.
  @Test func loadsFollowTheGlobalShare() throws {
    func spread(_ global: Double) throws -> Double {
      let shares = GaussianShares(global: global, sequence: 0.1, short: 0.1, memory: 0.8)
      let trace = try RoutingTrace(TracePreset(name: "x", experts: 64, topK: 8, law: .gaussian(shares)), layers: 1, sequences: 24, tokens: 128)
      var counts = Array(repeating: 0.0, count: 64)
      for sequence in trace.sequences { for expert in sequence.experts { counts[Int(expert)] += 1 } }
      let mean = counts.reduce(0, +) / 64
      return (counts.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 64).squareRoot() / mean
    }
    let even = try spread(0), some = try spread(0.1), much = try spread(0.6)
    #expect(even < some && some < much)
  }

  /// NIST's vectors, and messages that end around the ends of blocks, in portions of every size.
  @Test func sha256() {
    func digest(_ message: [UInt8], portion: Int) -> String {
      var sum = SHA256()
      message.withUnsafeBytes { bytes in
        for first in stride(from: 0, to: bytes.count, by: portion) {
          sum.update(UnsafeRawBufferPointer(rebasing: bytes[first..<min(first + portion, bytes.count)]))
        }
      }
      return sum.digest().map { String(format: "%02x", $0) }.joined()
    }
    #expect(digest([], portion: 1) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(digest(Array("abc".utf8), portion: 64) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(
      digest(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8), portion: 5)
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    #expect(
      digest(.init(repeating: 0x61, count: 1_000_000), portion: 777) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    for length in 50..<130 {
      let message = (0..<length).map { UInt8($0) }, whole = digest(message, portion: length)
      #expect([1, 7, 63, 64, 65].allSatisfy { digest(message, portion: $0) == whole })
    }
  }

  /// Scores and sketches there and back; the chosen experts are the first of those scored.
  @Test func scoresAndSketches() throws {
    let made = try RoutingTrace(TracePreset(named: "mixtral-like"), layers: 2, sequences: 2, tokens: 5, scores: 6)
    let sequences = made.sequences.map { sequence in
      RoutingTrace.Sequence(
        id: sequence.id, domain: 9, experts: sequence.experts, weights: sequence.weights, scored: sequence.scored, scores: sequence.scores,
        sketch: (0..<30).map { Float($0) - 8 })
    }
    for choice in 0..<10 {
      let first = made.sequences[1]
      #expect(first.scored[6 * choice..<6 * choice + 2] == first.experts[2 * choice..<2 * choice + 2])
      #expect(zip(first.scores[6 * choice..<6 * choice + 5], first.scores[(6 * choice + 1)...]).allSatisfy { $0 >= $1 })
    }
    let trace = try RoutingTrace(layers: 2, experts: made.experts, topK: 2, scoresPerChoice: 6, sketchWidth: 3, parameters: "x", sequences: sequences)
    try withFile { path in
      try trace.write(to: path)
      let read = try RoutingTrace(path: path)
      #expect((read.scoresPerChoice, read.sketchWidth, read.sequences.map(\.scored)) == (6, 3, trace.sequences.map(\.scored)))
      #expect(read.sequences.map(\.sketch) == trace.sequences.map(\.sketch))
      #expect(zip(read.sequences.flatMap(\.scores), trace.sequences.flatMap(\.scores)).allSatisfy { abs($0 - $1) <= 0.004 })
      try read.write(to: path)
      #expect(try RoutingTrace(path: path) == read)
    }
    for (scores, width) in [(1, 3), (9, 3), (5, 3), (6, 2), (6, -1), (6, 1 << 13)] {
      #expect(throws: TraceError.self) {
        try RoutingTrace(
          layers: 2, experts: made.experts, topK: 2, scoresPerChoice: scores, sketchWidth: width, parameters: "", sequences: sequences)
      }
    }
    #expect(throws: TraceError.self) { try RoutingTrace(TracePreset(named: "cyclic"), scores: 128) }
    #expect(throws: TraceError.self) { try RoutingTrace(TracePreset(named: "mixtral-like"), scores: 1) }
  }

  /// Headers that lie, with the SHA-256 of what they say.
  @Test func hostileHeaders() throws {
    let trace = try RoutingTrace(TracePreset(named: "mixtral-like"), layers: 1, sequences: 1, tokens: 3, scores: 4)
    try withFile { path in
      try trace.write(to: path)
      let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
      func write(_ value: UInt32, at place: Int) throws {
        var sum = SHA256(), broken = bytes
        withUnsafeBytes(of: value.littleEndian) { broken.replaceSubrange(place..<place + 4, with: $0) }
        broken[..<48].withUnsafeBytes { sum.update($0) }
        broken[80...].withUnsafeBytes { sum.update($0) }
        broken.replaceSubrange(48..<80, with: sum.digest())
        try Data(broken).write(to: URL(fileURLWithPath: path))
      }
      let tokens = 80 + trace.parameters.utf8.count + 8
      for place in Array(stride(from: 8, to: 48, by: 4)) + [tokens] {
        for value in [0, 1, 1 << 20, .max] as [UInt32] {
          try write(value, at: place)
          if bytes[place..<place + 4].elementsEqual(withUnsafeBytes(of: value.littleEndian, Array.init)) { continue }
          #expect(throws: CheckpointError.self, "\(value) at \(place)") { try RoutingTrace(path: path) }
        }
      }
    }
  }

  @Test func brokenFiles() throws {
    let trace = try RoutingTrace(TracePreset(named: "iid"), layers: 1, sequences: 1, tokens: 3)
    try withFile { path in
      try trace.write(to: path)
      let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
      for count in [0, 5, 8, 20, 47, 48, 79, 80, bytes.count - 1] {
        try bytes.prefix(count).write(to: URL(fileURLWithPath: path))
        #expect(throws: CheckpointError.self) { try RoutingTrace(path: path) }
      }
      for place in bytes.indices {
        var broken = bytes
        broken[place] ^= 0x41
        try broken.write(to: URL(fileURLWithPath: path))
        #expect(throws: CheckpointError.self) { try RoutingTrace(path: path) }
      }
      try (bytes + [0]).write(to: URL(fileURLWithPath: path))
      #expect(throws: CheckpointError.self) { try RoutingTrace(path: path) }
    }
    #expect(throws: CheckpointError.self) { try RoutingTrace(path: "/nonexistent.trace") }
  }

  @Test func refusals() {
    #expect(throws: TraceError.unknownPreset("nothing-like")) { try TracePreset(named: "nothing-like") }
    let iid = TracePreset(name: "iid", experts: 4, topK: 2, law: .sticky(stay: 0))
    #expect(throws: TraceError.self) { try RoutingTrace(iid, layers: 0) }
    #expect(throws: TraceError.self) { try RoutingTrace(iid, topK: 5) }
    #expect(throws: TraceError.self) { try RoutingTrace(iid, sequences: 1 << 20, tokens: 1 << 40) }
    #expect(throws: TraceError.self) { try RoutingTrace(TracePreset(name: "x", experts: 4, topK: 2, law: .sticky(stay: 2))) }
    let shares = GaussianShares(global: 0.9, sequence: 0.9, short: 0, memory: 0)
    #expect(throws: TraceError.self) { try RoutingTrace(TracePreset(name: "x", experts: 4, topK: 2, law: .gaussian(shares))) }
    let sequence = RoutingTrace.Sequence(id: 0, domain: 0, experts: [0, 9], weights: [1, 0])
    #expect(throws: TraceError.self) { try RoutingTrace(layers: 1, experts: 4, topK: 2, parameters: "", sequences: [sequence]) }
  }
}
