// Routing and plans on OpenCL devices: the experts, weights and outputs of a layer that the host routes, bit for bit.

import MoE
import Testing

@Suite struct OpenCLRoutingTests {
  /// By panels in the host's memory, and by tiles in memory of their own.
  private static func machines(routes: Bool) -> [Machine] {
    [true, false].map { shares in
      var options = OpenCLOptions(usesHostMemory: shares, routes: routes, programs: ProgramCache(folder: OpenCLTests.programs))
      options.usesPanels = shares
      return try! Machine.current(threads: 2, openCL: options)
    }
  }
  private static let routing = machines(routes: true), others = machines(routes: false)

  private struct Outcome: Equatable {
    var ids: [Int32], weights: [UInt32], offsets: [Int], expertOffsets: [Int], nonFiniteTokens: Int, output: [UInt32]
  }

  private func outcome(_ layer: MoELayer, _ states: HiddenStates, _ workspace: Workspace) throws -> Outcome {
    func bits(_ values: [Float]) -> [UInt32] { values.map { $0.isNaN ? Float.nan.bitPattern : $0.bitPattern } }
    var output = [Float](repeating: .nan, count: states.values.count)
    let routing = try states.values.withUnsafeBufferPointer { from in
      try output.withUnsafeMutableBufferPointer { to in
        try layer.forward(
          RowView(from.baseAddress!, count: states.tokens, columns: states.hidden),
          into: MutableRowView(to.baseAddress!, count: states.tokens, columns: states.hidden), workspace: workspace)
      }
    }
    return Outcome(
      ids: routing.expertIDs, weights: bits(routing.weights), offsets: routing.offsets, expertOffsets: try workspace.expertOffsets,
      nonFiniteTokens: routing.nonFiniteTokens, output: bits(output))
  }

  @Test(arguments: LayerFixture.all, [ActivationPrecision.float, .int8])
  func devicesRouteAsTheHostDoes(_ fixture: LayerFixture, _ activations: ActivationPrecision) throws {
    let states = try fixture.input().states, workspace = Workspace(), many = (0..<150).map { $0 * 7 % states.tokens }
    let batches = try [states, states.rows([states.tokens - 1]), states.rows(many), states.with(0, .nan)]
    for (routing, other) in zip(Self.routing, Self.others) {
      for device in OpenCLTests.devices {
        let layer = try fixture.layer(on: routing, device: device, activations: activations)
        let expected = try fixture.layer(on: other, device: device, activations: activations)
        #expect(layer.activations == expected.activations && (layer.activations == activations || fixture.name != "gpt_oss_mxfp4"))
        // Others have no weights that suit it.
        guard layer.activations == activations else { continue }
        for batch in batches { #expect(try outcome(layer, batch, workspace) == outcome(expected, batch, workspace), "\(device)") }
      }
      #expect(!routing.notes.contains { $0.contains("routing") }, "\(routing.notes)")
    }
  }
}
