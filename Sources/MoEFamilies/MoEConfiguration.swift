// The typed configuration of one MoE layer, whatever the checkpoint's own words for it.

public import MoEExperts
public import MoERouting

/// What one MoE layer computes.
public struct MoEConfiguration: Sendable, Hashable {
  /// A shared expert, computed for every token.
  public struct Shared: Sendable, Hashable {
    /// Width between its two products.
    public var intermediate: Int
    /// What it computes between them.
    public var activation: ExpertActivation
    /// True when a sigmoid of a row of the input scales its output.
    public var isGated: Bool
  }

  /// `model_type` or GGUF architecture.
  public var family: String
  /// Width of the rows the layer reads and writes.
  public var hidden: Int
  /// Width of the rows the routed experts read and write: `hidden`, or the latent width.
  public var expertHidden: Int
  /// Width between an expert's two products.
  public var intermediate: Int
  /// Experts with weights.
  public var experts: Int
  /// Experts that return their input, ids after the real ones.
  public var identityExperts: Int
  /// Experts a token selects.
  public var topK: Int
  /// Scores, selection and weights.
  public var router: RouterConfiguration
  /// What routed experts compute between their products.
  public var activation: ExpertActivation
  /// True when gate and up are multiplied; false for up alone.
  public var isGated: Bool
  /// True when the routing weight multiplies the expert's input (Llama 4).
  public var weightOnInput: Bool
  /// Multiplies every routed expert's output.
  public var outputScale: Float
  /// The shared expert, nil for none.
  public var shared: Shared?
  /// True when routed experts work behind a projection into another width.
  public var isLatent: Bool
  /// True when a bias vector is added to the output.
  public var hasOutputBias: Bool
}
