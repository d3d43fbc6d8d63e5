// What one step of so many tokens does to a layer's experts: chances of use, rows and seconds.

/// A layer's loads for steps of `tokens` tokens.
struct StepLoad {
  let sizes: LayerSizes
  let tokens: Int
  /// Chance of each expert to be used in a step.
  let chances: [Double]
  /// Expected rows of each expert.
  let rows: [Double]

  /// - Parameter loads: rows a token by expert; all zero means "not known", and then every expert is as likely.
  init(_ loads: [Double], _ sizes: LayerSizes, tokens: Int) {
    self.sizes = sizes
    self.tokens = tokens
    let sum = loads.reduce(0, +)
    let perToken = loads.map { min(1, sum > 0 ? $0 : Double(sizes.topK) / Double(sizes.experts)) }
    chances = perToken.map { tokens == 1 ? $0 : 1 - power(1 - $0, tokens) }
    rows = perToken.map { $0 * Double(tokens) }
  }

  /// Rows of all experts.
  var allRows: Double { rows.reduce(0, +) }

  /// Expected seconds of an expert at these speeds, its chance of use and `part` of its rows counted.
  func seconds(_ expert: Int, bandwidth: Double, products: Double) -> Double {
    max(chances[expert] * Double(sizes.expertBytes[expert]) / bandwidth, rows[expert] * sizes.products / products)
  }

  /// As above, of the shared expert, which every token goes to.
  func sharedSeconds(bandwidth: Double, products: Double) -> Double {
    guard sizes.sharedBytes > 0 else { return 0 }
    let mean = max(1, Double(sizes.bytes - sizes.sharedBytes) / Double(sizes.experts))
    return max(Double(sizes.sharedBytes) / bandwidth, Double(tokens) * sizes.products * Double(sizes.sharedBytes) / mean / products)
  }

  /// The load of a part of the experts.
  func only(_ isKept: (Int) -> Bool) -> StepLoad {
    StepLoad(
      sizes: sizes, tokens: tokens, chances: chances.indices.map { isKept($0) ? chances[$0] : 0 },
      rows: rows.indices.map { isKept($0) ? rows[$0] : 0 })
  }

  private init(sizes: LayerSizes, tokens: Int, chances: [Double], rows: [Double]) {
    (self.sizes, self.tokens, self.chances, self.rows) = (sizes, tokens, chances, rows)
  }
}

/// `base` to a whole power, by squaring.
private func power(_ base: Double, _ exponent: Int) -> Double {
  var (result, square, rest) = (1.0, base, exponent)
  while rest > 0 {
    if rest & 1 == 1 { result *= square }
    (square, rest) = (square * square, rest >> 1)
  }
  return result
}
