// Hidden states as a caller without buffers of its own holds them.

public import MoEFamilies

/// Activations [tokens, hidden], f32, row-major.
public struct HiddenStates: Sendable, Equatable {
  /// Number of rows.
  public let tokens: Int
  /// Width of a row.
  public let hidden: Int
  /// [tokens, hidden], row after row.
  public internal(set) var values: [Float]

  /// - Throws: `MoEError.rows` when `values` is not tokens x hidden.
  public init(_ values: [Float], tokens: Int, hidden: Int) throws(MoEError) {
    guard tokens >= 0, hidden > 0, values.count % hidden == 0, values.count / hidden == tokens else {
      throw .rows(expected: [tokens, hidden], found: [values.count])
    }
    self.tokens = tokens
    self.hidden = hidden
    self.values = values
  }

  init(unchecked values: [Float], tokens: Int, hidden: Int) {
    self.tokens = tokens
    self.hidden = hidden
    self.values = values
  }

  /// The row of one token.
  public subscript(token: Int) -> ArraySlice<Float> { values[token * hidden..<(token + 1) * hidden] }
}
