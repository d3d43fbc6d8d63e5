// Workspaces: shared by layers of any shape, one call at a time, the same bits as without.

import Dispatch
import MoE
import Synchronization
import Testing

@Suite struct WorkspaceTests {
  /// What a smaller call leaves behind a larger one, or the other way round, never shows.
  @Test func layersOfAllShapesShareOne() throws {
    let workspace = Workspace()
    for fixture in LayerFixture.all + LayerFixture.all.reversed() {
      let layer = try fixture.layer(), (states, sequences) = try fixture.input()
      #expect(try layer.bits(states, sequences: sequences, workspace: workspace) == layer.bits(states, sequences: sequences), "\(fixture.name)")
    }
    try workspace.releaseMemory()
    let fixture = try LayerFixture.named("qwen3_moe"), layer = try fixture.layer(), states = try fixture.input().states
    #expect(try layer.bits(states, workspace: workspace) == layer.bits(states))
    LayerFixture.machine.releaseWorkspaces()
    #expect(try layer.bits(states) == layer.bits(states, workspace: workspace))
  }

  @Test func aCallInsideACallIsRefused() throws {
    let fixture = try LayerFixture.named("qwen3_moe"), layer = try fixture.layer(), states = try fixture.input().states, workspace = Workspace()
    var out = [Float](repeating: 0, count: states.values.count), asked = 0
    try states.values.withUnsafeBufferPointer { from in
      try out.withUnsafeMutableBufferPointer { to in
        let input = try RowView(from.baseAddress!, count: states.tokens, columns: states.hidden)
        let output = try MutableRowView(to.baseAddress!, count: states.tokens, columns: states.hidden)
        _ = try layer.forward(input, into: output, workspace: workspace) { _ in
          asked += 1
          #expect { try layer.bits(states, workspace: workspace) } throws: { if case MoEError.workspaceInUse = $0 { true } else { false } }
          #expect { try workspace.releaseMemory() } throws: { if case MoEError.workspaceInUse = $0 { true } else { false } }
        }
      }
    }
    #expect(asked > 0)
    try workspace.releaseMemory()
  }

  @Test func callsAtTheSameTimeAreServedOrRefused() throws {
    let fixture = try LayerFixture.named("deepseek_v3"), layer = try fixture.layer(), states = try fixture.input().states
    let expected = try layer.bits(states), workspace = Workspace(), served = Atomic(0), strange = Atomic(0)
    DispatchQueue.concurrentPerform(iterations: 64) { _ in
      do {
        if try layer.bits(states, workspace: workspace) == expected { served.add(1, ordering: .relaxed) } else { strange.add(1, ordering: .relaxed) }
      } catch MoEError.workspaceInUse {} catch { strange.add(1, ordering: .relaxed) }
    }
    #expect(served.load(ordering: .relaxed) > 0 && strange.load(ordering: .relaxed) == 0)
    #expect(try layer.bits(states, workspace: workspace) == expected)
  }

  @Test func aFailedCallLeavesItUsable() throws {
    let fixture = try LayerFixture.named("switch_transformers_cap1"), layer = try fixture.layer(), (states, sequences) = try fixture.input()
    let workspace = Workspace()
    #expect(throws: MoEError.self) { try layer.bits(states, sequences: [1, 2], workspace: workspace) }
    #expect(try layer.bits(states, sequences: sequences, workspace: workspace) == layer.bits(states, sequences: sequences))
  }

  @Test func anEarlierRoutingIsNotWrittenOver() throws {
    let fixture = try LayerFixture.named("qwen3_moe"), layer = try fixture.layer(), states = try fixture.input().states, workspace = Workspace()
    func route(_ states: HiddenStates) throws -> RouterOutput {
      var out = [Float](repeating: 0, count: states.values.count)
      return try states.values.withUnsafeBufferPointer { from in
        try out.withUnsafeMutableBufferPointer { to in
          try layer.forward(
            RowView(from.baseAddress!, count: states.tokens, columns: states.hidden),
            into: MutableRowView(to.baseAddress!, count: states.tokens, columns: states.hidden), workspace: workspace)
        }
      }
    }
    let expected = try layer.route(states), first = try route(states), other = try route(states.rows((0..<states.tokens).reversed()))
    #expect(first == expected && other != expected)
  }
}
