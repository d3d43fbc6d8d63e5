// The example of README.md, compiled: its first ```swift block is the text between the markers below.

import Foundation
import MoE
import Testing

// The example's import is this file's.
private func example() throws -> HiddenStates {
  // example begins
  let checkpoint = try Checkpoint(path: "Qwen3-30B-A3B-Q4_K_M.gguf")   // GGUF, safetensors file, or sharded folder
  let machine = try Machine.current()                                  // topology, threads, kernels of this CPU
  let layer = try MoELayer(checkpoint, layer: 3, on: machine)          // experts stay packed
  let tokens = 4
  let values = [Float](repeating: 0.25, count: tokens * layer.hidden)  // [tokens, hidden], row after row
  let hiddenStates = try HiddenStates(values, tokens: tokens, hidden: layer.hidden)
  let output = try layer(hiddenStates)                                 // [tokens, hidden]: shared experts in, no residual
  print(output[0].prefix(3))
  // example ends
  return output
}

@Suite struct ReadmeExampleTests {
  private func code(_ lines: some Sequence<Substring>) -> [String] {
    lines.map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty && !$0.hasPrefix("import ") }
  }

  @Test func theReadmeShowsWhatCompiles() throws {
    let here = URL(fileURLWithPath: #filePath), root = here.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    guard let readme = try? String(contentsOf: root.appendingPathComponent("README.md"), encoding: .utf8) else { return }
    let lines = readme.split(separator: "\n", omittingEmptySubsequences: false)
    guard let begin = lines.firstIndex(where: { $0.hasPrefix("```swift") }) else { return }
    let shown = code(lines[(begin + 1)...].prefix { !$0.hasPrefix("```") })
    let source = try String(contentsOf: here, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
    let compiled = code(source.drop { !$0.contains("// example begins") }.dropFirst().prefix { !$0.contains("// example ends") })
    #expect(shown == compiled)
    #expect(shown.count <= 20)
  }

  @Test func withoutTheFileItSaysSo() throws {
    #expect(throws: CheckpointError.self) { try example() }
  }

  @Test func theSameLinesRunOnAFixture() throws {
    let checkpoint = try Checkpoint(path: "\(LayerFixture.root)/tiny_qwen3_moe_sharded")
    let layer = try MoELayer(checkpoint, layer: 1, on: Machine.current())
    let states = try HiddenStates([Float](repeating: 0.25, count: 3 * layer.hidden), tokens: 3, hidden: layer.hidden)
    let output = try layer(states)
    #expect(output.tokens == 3 && output.hidden == layer.hidden && output.values.allSatisfy(\.isFinite))
  }
}
