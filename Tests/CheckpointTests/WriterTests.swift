// Writers: what they write is read back, what goes wrong leaves nothing.

import MoECheckpoint
import MoETensors
import Testing

@Suite struct WriterTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  let declarations: [TensorDeclaration] = [
    .init(name: "a", type: .f32, shape: [2, 3]), .init(name: "none", type: .f16, shape: [0, 4]), .init(name: "b\"é", type: .bf16, shape: [5]),
    .init(name: "s", type: .i32, shape: []), .init(name: "last", type: .f32, shape: [0]),
  ]
  let sizes = [24, 0, 10, 4, 0]

  private func bytes(_ index: Int) -> [UInt8] { (0..<sizes[index]).map { UInt8($0 + index * 50) } }

  @Test func safetensorsRoundTrip() throws {
    var writer = try SafetensorsWriter(path: folder.at("x.safetensors"), tensors: declarations, metadata: ["k": "v\n"])
    #expect(writer.next?.name == "a")
    for index in declarations.indices { try writer.append(bytes(index)) }
    #expect(writer.next == nil)
    #expect(try folder.names == ["x.safetensors.partial"])
    try writer.finish()
    #expect(try folder.names == ["x.safetensors"])
    let file = try SafetensorsFile(path: folder.at("x.safetensors"))
    #expect(file.metadata == ["k": "v\n"])
    for (index, declaration) in declarations.enumerated() {
      let view = try #require(try file.tensor(declaration.name))
      #expect(TensorDeclaration(view) == declaration && Array(view.bytes) == bytes(index))
    }
    // The header is a multiple of 8 long.
    #expect(try folder.read("x.safetensors").first.map { $0 % 8 } == 0)
  }

  @Test func ggufRoundTrip() throws {
    let metadata: [String: GGUFValue] = [
      "general.architecture": .string("llama"), "a.u8": .u8(1), "a.i8": .i8(-1), "a.u16": .u16(2), "a.i16": .i16(-2), "a.u32": .u32(3), "a.i32": .i32(-3),
      "a.f32": .f32(.pi), "a.bool": .bool(true), "a.u64": .u64(.max), "a.i64": .i64(.min), "a.f64": .f64(.pi), "general.alignment": .u32(32),
      "b.u8": .array(.u8([1, 2])), "b.i8": .array(.i8([-1])), "b.u16": .array(.u16([1])), "b.i16": .array(.i16([-1])), "b.u32": .array(.u32([1])),
      "b.i32": .array(.i32([-1])), "b.f32": .array(.f32([0.5])), "b.bool": .array(.bool([true, false])), "b.string": .array(.string(["x", "", "é"])),
      "b.array": .array(.array([.f64([1]), .string([])])), "b.u64": .array(.u64([1])), "b.i64": .array(.i64([-1])), "b.f64": .array(.f64([])),
    ]
    var writer = try GGUFWriter(path: folder.at("x.gguf"), tensors: declarations, metadata: metadata)
    for index in declarations.indices {
      for byte in bytes(index) { try writer.append([byte]) }
    }
    try writer.finish()
    let file = try GGUFFile(path: folder.at("x.gguf"), mode: .copied)
    #expect(file.metadata == metadata)
    for (index, declaration) in declarations.enumerated() {
      let view = try #require(try file.tensor(declaration.name))
      #expect(TensorDeclaration(view) == declaration && Array(view.bytes) == bytes(index))
      #expect(view.bytes.isEmpty || Int(bitPattern: view.bytes.baseAddress) % 32 == 0)
    }
    #expect(try folder.read("x.gguf").count % 32 == 0)
  }

  @Test func viewsAreCopiedBetweenFormats() throws {
    var writer = try SafetensorsWriter(path: folder.at("x.safetensors"), tensors: declarations)
    for index in declarations.indices { try writer.append(bytes(index)) }
    try writer.finish()
    let source = try SafetensorsFile(path: folder.at("x.safetensors"))
    let views = try source.tensorNames.map { try #require(try source.tensor($0)) }
    var gguf = try GGUFWriter(path: folder.at("x.gguf"), tensors: views.map { TensorDeclaration($0) })
    for view in views { try gguf.append(view) }
    try gguf.finish()
    #expect(try sum(GGUFFile(path: folder.at("x.gguf"))) == sum(source))
  }

  @Test(arguments: [1, 24, 30, 34, 35, 1000])
  func shardedRoundTrip(_ limit: Int) throws {
    let config = JSON.object(["model_type": .string("x"), "limit": .array([.integer(0), .number(.infinity)])])
    var writer = try ShardedSafetensorsWriter(folder: folder.at("out"), tensors: declarations, maximumShardBytes: limit, config: config)
    for index in declarations.indices { try writer.append(bytes(index)) }
    #expect(writer.shardNames.count == (limit < 10 ? 3 : limit < 34 ? 2 : limit < 38 ? 2 : 1))
    try writer.finish()
    let checkpoint = try Checkpoint(path: folder.at("out"))
    #expect(checkpoint.metadata == .config(config))
    for (index, declaration) in declarations.enumerated() {
      let view = try checkpoint.tensor(declaration.name)
      #expect(TensorDeclaration(view) == declaration && Array(view.bytes) == bytes(index))
    }
    // The other layout would hide this one or be hidden by it.
    #expect(throws: CheckpointError.self) {
      _ = try ShardedSafetensorsWriter(folder: folder.at("out"), tensors: declarations, maximumShardBytes: limit > 38 ? 1 : 1000)
    }
  }

  @Test func shardsOfNothing() throws {
    var writer = try ShardedSafetensorsWriter(folder: folder.at("out"), tensors: [])
    try writer.finish()
    #expect(try Checkpoint(path: folder.at("out")).tensors.tensorNames == [])
  }

  @Test func writersGivenUpLeaveNothing() throws {
    do {
      var writer = try SafetensorsWriter(path: folder.at("x.safetensors"), tensors: declarations)
      try writer.append(bytes(0))
    }
    do {
      var writer = try GGUFWriter(path: folder.at("x.gguf"), tensors: declarations)
      try writer.append(bytes(0))
      #expect(throws: CheckpointError.self) { try writer.finish() }
    }
    do {
      var writer = try ShardedSafetensorsWriter(folder: folder.path, tensors: declarations, maximumShardBytes: 1)
      try writer.append(bytes(0))
      #expect(try folder.names.count == 2)
    }
    #expect(try folder.names == [])
  }

  @Test func wrongBytesAreRefused() throws {
    var writer = try SafetensorsWriter(path: folder.at("x.safetensors"), tensors: declarations)
    #expect(throws: CheckpointError.self) { try writer.append([UInt8](repeating: 0, count: 25)) }
    try writer.append(bytes(0))
    try writer.append(bytes(2))
    try writer.append(bytes(3))
    #expect(throws: CheckpointError.self) { try writer.append([0]) }
    try writer.finish()
    #expect(throws: CheckpointError.self) { try writer.finish() }
    #expect(throws: CheckpointError.self) { try writer.append([0]) }
  }

  @Test func wrongDeclarationsAreRefused() throws {
    let wrong: [[TensorDeclaration]] = [
      [.init(name: "", type: .f32, shape: [1])], [.init(name: "a", type: .f32, shape: [-1])], [.init(name: "a", type: .f32, shape: [.max, 2])],
      [.init(name: "a", type: .f32, shape: [1]), .init(name: "a", type: .f32, shape: [1])],
      [.init(name: "a", type: .f32, shape: [1 << 60]), .init(name: "b", type: .f32, shape: [1 << 60])],
      [.init(name: "a", type: .f32, shape: [1, 1, 1, 1, 1, 1, 1, 1, 1])],
    ]
    for tensors in wrong {
      #expect(throws: CheckpointError.self) { _ = try SafetensorsWriter(path: folder.at("x"), tensors: tensors) }
      #expect(throws: CheckpointError.self) { _ = try GGUFWriter(path: folder.at("x"), tensors: tensors) }
      #expect(throws: CheckpointError.self) { _ = try ShardedSafetensorsWriter(folder: folder.path, tensors: tensors) }
    }
    #expect(throws: CheckpointError.self) { _ = try GGUFWriter(path: folder.at("x"), tensors: [.init(name: "a", type: .u8, shape: [1])]) }
    #expect(throws: CheckpointError.self) {
      _ = try SafetensorsWriter(path: folder.at("x"), tensors: [.init(name: "__metadata__", type: .u8, shape: [1])])
    }
    for metadata in [["": .u8(1)], ["general.alignment": .u32(64)], ["general.alignment": .u64(32)], ["a": deep(5)]] as [[String: GGUFValue]] {
      #expect(throws: CheckpointError.self) { _ = try GGUFWriter(path: folder.at("x"), tensors: [], metadata: metadata) }
    }
    #expect(throws: CheckpointError.self) { _ = try GGUFWriter(path: folder.at("absent/x"), tensors: []) }
    #expect(try folder.names == [])
  }

  private func deep(_ nesting: Int) -> GGUFValue {
    var array = GGUFArray.u8([])
    for _ in 1..<nesting { array = .array([array]) }
    return .array(array)
  }
}
