// A MoE layer in double precision, one value after another: what the output of every backend is compared with.

/// A value and the norm that its rounding errors are proportional to.
public struct NormedValue: Sendable {
  public var value: Double
  public var norm: Double

  public init(value: Double, norm: Double) {
    self.value = value
    self.norm = norm
  }
}

/// One linear map y = W x + b whose weights are read row by row, already decoded.
public struct LinearOracle {
  public let rows: Int
  let row: (Int) -> [Float]
  let bias: [Float]?

  public init(rows: Int, bias: [Float]? = nil, row: @escaping (Int) -> [Float]) {
    self.rows = rows
    self.row = row
    self.bias = bias
  }

  /// Output `index`. Its norm is that of the products: rounding errors of a sum are independent and as large as its partial sums.
  ///
  /// - Parameter norms: of `values`, at least as large as they.
  func output(_ index: Int, _ values: [Double], norms: [Double]) -> NormedValue {
    let weights = row(index)
    precondition(weights.count == values.count)
    var sum = 0.0, squares = 0.0
    for column in 0..<weights.count {
      let weight = Double(weights[column])
      sum += weight * values[column]
      squares += weight * norms[column] * weight * norms[column]
    }
    let offset = Double(bias?[index] ?? 0)
    return NormedValue(value: sum + offset, norm: squares.squareRoot() + abs(sum) + abs(offset))
  }
}

/// One expert: down(act(gate x) * up x), or down(act(up x)) without a gate.
public struct ExpertOracle {
  let gate: LinearOracle?
  let up: LinearOracle
  let down: LinearOracle
  let activation: ActivationOracle

  public init(gate: LinearOracle?, up: LinearOracle, down: LinearOracle, activation: ActivationOracle) {
    self.gate = gate
    self.up = up
    self.down = down
    self.activation = activation
  }

  /// Outputs `columns` for the input `x`.
  public func callAsFunction(_ x: [Double], columns: [Int]) -> [NormedValue] {
    let lengths = x.map(abs)
    var values: [Double] = [], norms: [Double] = []
    for index in 0..<up.rows {
      let inner = activation(gate?.output(index, x, norms: lengths), up.output(index, x, norms: lengths))
      values.append(inner.value)
      norms.append(inner.norm)
    }
    return columns.map { down.output($0, values, norms: norms) }
  }
}

/// A routed layer: experts by id, each times its coefficient, and what is added for every token.
public struct LayerOracle {
  /// True when the coefficient multiplies the expert's input.
  public var weightOnInput = false
  /// Multiplies every routed expert's output.
  public var outputScale = 1.0
  /// Projections into and out of the width that routed experts work in.
  public var latentIn: LinearOracle?
  public var latentOut: LinearOracle?
  /// The expert that every token visits, and the weights of the sigmoid on it.
  public var shared: ExpertOracle?
  public var sharedGate: [Float]?
  public var outputBias: [Float]?
  private let experts: Int
  private let expert: (Int) -> ExpertOracle

  /// - Parameter experts: ids from here on return their input.
  public init(experts: Int, expert: @escaping (Int) -> ExpertOracle) {
    self.experts = experts
    self.expert = expert
  }

  /// Outputs `columns` of one token with the given experts and coefficients.
  public func callAsFunction(_ hidden: [Float], _ assignments: [(expert: Int, weight: Float)], columns: [Int]) -> [NormedValue] {
    let x = hidden.map(Double.init)
    let inner = latentIn.map { map in (0..<map.rows).map { map.output($0, x, norms: x.map(abs)).value } } ?? x
    let wanted = latentOut == nil ? columns : Array(inner.indices)
    var sums = [NormedValue](repeating: NormedValue(value: 0, norm: 0), count: wanted.count)
    func add(_ values: [NormedValue], times factor: Double) {
      for index in sums.indices {
        sums[index].value += factor * values[index].value
        sums[index].norm += abs(factor) * values[index].norm
      }
    }
    for (id, weight) in assignments {
      let weight = Double(weight)
      if id >= experts {
        add(wanted.map { NormedValue(value: inner[$0], norm: abs(inner[$0])) }, times: weight)
      } else if weightOnInput {
        add(expert(id)(inner.map { weight * $0 }, columns: wanted), times: outputScale)
      } else {
        add(expert(id)(inner, columns: wanted), times: weight * outputScale)
      }
    }
    if let latentOut {
      let values = sums.map(\.value), norms = sums.map(\.norm)
      sums = columns.map { latentOut.output($0, values, norms: norms) }
    }
    if let shared {
      var logit = 0.0
      for (weight, value) in zip(sharedGate ?? [], x) { logit += Double(weight) * value }
      add(shared(x, columns: columns), times: sharedGate == nil ? 1 : ActivationOracle.sigmoid(logit))
    }
    if let outputBias { add(columns.map { NormedValue(value: Double(outputBias[$0]), norm: abs(Double(outputBias[$0]))) }, times: 1) }
    return sums
  }
}
