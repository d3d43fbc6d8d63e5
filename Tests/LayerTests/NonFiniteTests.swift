// The policy for NaN and infinity among the router's logits, chosen where a layer is made.

import MoE
import Testing

@Suite struct NonFiniteTests {
  private func layer(_ nonFinite: RouterConfiguration.NonFinite) throws -> MoELayer {
    let fixture = try LayerFixture.named("qwen3_moe"), model = try fixture.model()
    return try MoELayer(model, block: model.block(prefix: fixture.prefix()), on: LayerFixture.machine, nonFinite: nonFinite)
  }

  @Test func theDefaultPropagates() throws {
    let fixture = try LayerFixture.named("qwen3_moe"), states = try fixture.input().states.with(1, .nan)
    let layer = try fixture.layer()
    #expect(layer.configuration.router.nonFinite == .propagate)
    #expect(try layer.bits(states) == self.layer(.propagate).bits(states))
    #expect(try layer(states)[1].allSatisfy(\.isNaN))
  }

  @Test func anErrorNamesTheToken() throws {
    let states = try LayerFixture.named("qwen3_moe").input().states, layer = try layer(.throwError)
    #expect(layer.configuration.router.nonFinite == .throwError && layer.weights.router.configuration.nonFinite == .throwError)
    _ = try layer(states)
    do {
      _ = try layer(states.with(1, .nan))
      Issue.record("accepted")
    } catch MoEError.routing(.nonFiniteLogit(let token, _, let value)) {
      #expect(token == 1 && value.isNaN)
    }
  }

  @Test func sanitizedTokensWithoutALogitGetNoExpert() throws {
    let states = try LayerFixture.named("qwen3_moe").input().states, layer = try layer(.sanitize)
    let routing = try layer.route(states.with(1, .nan))
    #expect(routing.assignments(of: 1).isEmpty && routing.nonFiniteTokens == 1)
    #expect(try layer(states.with(1, .nan))[1].allSatisfy { $0 == 0 })
    #expect(try layer.bits(states.with(1, .nan)).enumerated().filter { $0.offset != 1 }.map(\.element) == layer.bits(states).enumerated().filter { $0.offset != 1 }.map(\.element))
  }
}
