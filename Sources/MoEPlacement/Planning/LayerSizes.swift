// What planning knows of a layer's experts: byte counts and dimensions.

/// Sizes of one layer, the same for all layers that are planned together.
public struct LayerSizes: Sendable, Hashable {
  /// Values of a hidden state.
  public var hidden: Int
  /// Values between gate, up and down.
  public var intermediate: Int
  /// Experts a token goes to.
  public var topK: Int
  /// Bytes of each routed expert as it lies in memory; experts of one layer may have different formats.
  public var expertBytes: [Int]
  /// Bytes of the shared expert, 0 for none.
  public var sharedBytes: Int
  /// Bytes of an activated value on its way to the down product: 1 for int8, 4 for float.
  public var activationBytes: Int
  /// Rows of a matrix that lie together; a part of a split expert has at least so many.
  public var rowMultiple: Int
  /// Groups of consecutive experts that the router keeps together, 1 for none.
  public var groups: Int

  /// Sizes as they are; planning checks them.
  public init(
    hidden: Int, intermediate: Int, topK: Int, expertBytes: [Int], sharedBytes: Int = 0, activationBytes: Int = 1, rowMultiple: Int = 32,
    groups: Int = 1
  ) {
    self.hidden = hidden
    self.intermediate = intermediate
    self.topK = topK
    self.expertBytes = expertBytes
    self.sharedBytes = sharedBytes
    self.activationBytes = activationBytes
    self.rowMultiple = rowMultiple
    self.groups = groups
  }

  /// Number of routed experts.
  public var experts: Int { expertBytes.count }
  /// Bytes of all experts.
  public var bytes: Int { expertBytes.reduce(sharedBytes, +) }
  /// Multiply-adds of one row in one expert.
  var products: Double { 3 * Double(hidden) * Double(intermediate) }

  func check() throws(PlacementError) {
    guard 1...1 << 16 ~= experts, 1...experts ~= topK, 1...1 << 24 ~= hidden, 1...1 << 24 ~= intermediate, 1...8 ~= activationBytes else {
      throw .sizes("\(hidden) x \(intermediate), top-\(topK) of \(experts) experts, \(activationBytes) bytes an activation")
    }
    for bytes in expertBytes where !(1...1 << 40 ~= bytes) { throw .sizes("an expert of \(bytes) bytes") }
    guard 0...1 << 40 ~= sharedBytes else { throw .sizes("a shared expert of \(sharedBytes) bytes") }
    guard rowMultiple > 0, rowMultiple <= 1 << 20 else { throw .sizes("rows in groups of \(rowMultiple)") }
    guard groups > 0, experts % groups == 0 else { throw .sizes("\(experts) experts in \(groups) groups") }
  }
}
