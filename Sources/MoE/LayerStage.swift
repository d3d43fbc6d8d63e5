// The stages of a layer's forward pass, as measurements name them.

/// A part of the forward pass.
package enum LayerStage: String, Sendable, CaseIterable {
  case route, plan
  /// Into the experts' width and back, where they are latent.
  case project
  case gateUp, down, combine, shared
}
