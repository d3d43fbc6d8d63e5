// Loading: a mapped file's pages do not stay in memory beside the panels made of them.

import Foundation
import MoE
import Testing

#if os(Linux)
  @Suite struct LoadingTests {
    private static let hidden = 1024, intermediate = 768

    @Test func pagesOfAMappedFileAreGivenBack() throws {
      let folder = FileManager.default.temporaryDirectory.appendingPathComponent("moe-loading-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      try Self.write(8, to: folder)
      let checkpoint = try Checkpoint(path: folder.path), machine = LayerFixture.machine
      let states = try HiddenStates([Float](repeating: 0.5, count: 16 * Self.hidden), tokens: 16, hidden: Self.hidden)
      let size = 3 * 8 * Self.hidden * Self.intermediate * 2

      let panels = try MoELayer(checkpoint, layer: 0, on: machine)
      #expect(panels.weights.experts.experts[0].up.layout == .panels)
      let afterPacking = try Self.mappedBytes(of: folder.path)
      #expect(afterPacking < size / 10, "\(afterPacking) of \(size) bytes of the file are in memory")

      let rows = try MoELayer(checkpoint, layer: 0, on: machine, layout: .rows)
      #expect(try panels(states).values == rows(states).values)
      let afterReading = try Self.mappedBytes(of: folder.path)
      #expect(afterReading > size / 5, "the rows of two experts are read from the file: \(afterReading) of \(size) bytes")
    }

    #if Hwloc
      /// Panels on nodes never stand in memory a second time: neither packed ones whose file is written, nor those of the file.
      @Test func placedPanelsStandInMemoryOnce() async {
        await #expect(processExitsWith: .success) {
          let folder = FileManager.default.temporaryDirectory.appendingPathComponent("moe-loading-\(UUID().uuidString)"), experts = 24
          let cache = folder.appendingPathComponent("cache")
          try FileManager.default.createDirectory(at: cache, withIntermediateDirectories: true)
          defer { try? FileManager.default.removeItem(at: folder) }
          try Self.write(experts, to: folder)
          let topology = try Topology(synthetic: "numa:2 core:1 pu:1"), machine = try Machine(topology: topology, threads: 2)
          let placement = PlacedLayerTests.placement(.split, experts, on: topology), checkpoint = try Checkpoint(path: folder.path)
          let bytes = 3 * experts * Self.hidden * Self.intermediate * 2
          for (mode, source) in [(LoadMode.mapped, PackedCache.Report.Source.packed), (.mapped, .read), (.copied, .read)] {
            try "5".write(toFile: "/proc/self/clear_refs", atomically: false, encoding: .utf8)
            let before = try #require(Self.status("VmRSS"))
            let layer = try MoELayer(
              checkpoint, layer: 0, on: machine, layout: .panels, packedCache: PackedCache(folder: cache.path, mode: mode), placement: placement)
            let peak = try #require(Self.status("VmHWM")) - before
            #expect(layer.packedCache?.source == source)
            #expect(peak < bytes * 6 / 5 && peak > bytes * 9 / 10, "\(peak) of \(bytes) bytes")
          }
        }
      }
    #endif

    /// Bytes of a line of /proc/self/status.
    private static func status(_ name: String) -> Int? {
      let text = FileManager.default.contents(atPath: "/proc/self/status").map { String(decoding: $0, as: UTF8.self) } ?? ""
      let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") }
      return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
    }

    /// A one-layer checkpoint whose experts all have the same bytes, each of its own.
    private static func write(_ experts: Int, to folder: URL) throws {
      let config = """
        {"model_type": "qwen3_moe", "hidden_size": \(hidden), "moe_intermediate_size": \(intermediate), "num_experts": \(experts),
         "num_experts_per_tok": 2, "num_hidden_layers": 1, "norm_topk_prob": true, "decoder_sparse_step": 1, "mlp_only_layers": []}
        """
      try config.write(to: folder.appendingPathComponent("config.json"), atomically: true, encoding: .utf8)
      let prefix = "model.layers.0.mlp"
      var tensors = [TensorDeclaration(name: "\(prefix).gate.weight", type: .weights(.f32), shape: [experts, hidden])]
      for expert in 0..<experts {
        for (part, shape) in [("gate", [intermediate, hidden]), ("up", [intermediate, hidden]), ("down", [hidden, intermediate])] {
          tensors.append(TensorDeclaration(name: "\(prefix).experts.\(expert).\(part)_proj.weight", type: .weights(.bf16), shape: shape))
        }
      }
      var writer = try SafetensorsWriter(path: folder.appendingPathComponent("model.safetensors").path, tensors: tensors)
      try writer.append(WeightFormat.f32.encode((0..<experts * hidden).map { Float($0 % 7) / 100 }))
      let values = try WeightFormat.bf16.encode((0..<intermediate * hidden).map { Float($0 % 61) / 600 - 0.05 })
      for _ in 1..<tensors.count { try writer.append(values) }
      try writer.finish()
    }

    /// Bytes in memory of all mappings of files below `path`.
    private static func mappedBytes(of path: String) throws -> Int {
      var isOurs = false, total = 0
      let text = try #require(try FileHandle(forReadingAtPath: "/proc/self/smaps")?.readToEnd())
      for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
        // A mapping begins with its addresses, the lines about it with a word and a colon.
        if line.first?.isHexDigit == true, !line.prefix(while: { $0 != " " }).hasSuffix(":") { isOurs = line.contains(path) }
        if isOurs, line.hasPrefix("Rss:") { total += (line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 1024 }
      }
      return total
    }
  }
#endif
