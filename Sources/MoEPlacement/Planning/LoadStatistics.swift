// How often each expert is used: moving averages over windows of tokens, a layer at a time.

/// Rows a token gives each expert, of every layer, as an exponential moving average.
public struct LoadStatistics: Sendable, Hashable {
  /// Tokens of a window; the average moves once a window.
  public let window: Int
  /// The part of a new window in the average; the first window of a layer is taken as it is.
  public let weight: Double
  /// Rows a token, by layer and expert: about topK / experts each where routing is even.
  public private(set) var loads: [[Double]]
  private var counts: [[Int]]
  private var tokens: [Int]
  /// Windows that each layer has ended.
  public private(set) var windows: [Int]

  /// No loads yet.
  ///
  /// - Throws: `PlacementError.statistics`.
  public init(layers: Int, experts: Int, window: Int = 512, weight: Double = 0.25) throws(PlacementError) {
    guard layers > 0, experts > 0, window > 0, weight > 0, weight <= 1 else {
      throw .statistics("\(layers) layers of \(experts) experts, windows of \(window) tokens with weight \(weight)")
    }
    self.window = window
    self.weight = weight
    loads = Array(repeating: Array(repeating: 0, count: experts), count: layers)
    counts = Array(repeating: Array(repeating: 0, count: experts), count: layers)
    tokens = Array(repeating: 0, count: layers)
    windows = Array(repeating: 0, count: layers)
  }

  /// Takes in one call of a layer: one addition an expert, nothing allocated.
  ///
  /// - Parameter offsets: first row of each expert and the end, as a dispatch plan has them.
  public mutating func record(layer: Int, offsets: [Int], tokens more: Int) {
    precondition(loads.indices.contains(layer) && offsets.count == loads[layer].count + 1, "rows of another layer")
    for expert in counts[layer].indices { counts[layer][expert] += offsets[expert + 1] - offsets[expert] }
    tokens[layer] += more
    if tokens[layer] >= window { close(layer) }
  }

  /// Ends every window that is open, as at the end of a trace.
  public mutating func flush() {
    for layer in tokens.indices where tokens[layer] > 0 { close(layer) }
  }

  private mutating func close(_ layer: Int) {
    let weight = windows[layer] > 0 ? weight : 1
    for expert in counts[layer].indices {
      loads[layer][expert] += weight * (Double(counts[layer][expert]) / Double(tokens[layer]) - loads[layer][expert])
      counts[layer][expert] = 0
    }
    tokens[layer] = 0
    windows[layer] += 1
  }
}
