// The stages of a layer's forward pass, as measurements name them.

/// A part of the forward pass, the shared expert included; projections of latent experts count to `gateUp` and `down`, which combines too.
package enum LayerStage: String, Sendable, CaseIterable {
  case route, plan, gateUp, down
}
