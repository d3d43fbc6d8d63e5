// Hidden states that calls take turns with.

/// Hidden states of several batches that take turns, and one output for all of them.
struct TokenBatches {
  let count: Int
  let tokens: Int
  let output: UnsafeMutablePointer<Float>
  private let inputs: UnsafeMutablePointer<Float>
  private let hidden: Int

  /// Random states; `checked` stand where `checkedPlaces` says.
  init(count: Int, tokens: Int, hidden: Int, checked: [[Float]], _ random: inout SeededRandom) {
    self.count = count
    self.tokens = tokens
    self.hidden = hidden
    inputs = .allocate(capacity: count * tokens * hidden)
    output = .allocate(capacity: tokens * hidden)
    output.initialize(repeating: 0, count: tokens * hidden)
    for row in 0..<count * tokens { (inputs + row * hidden).initialize(from: random.even(hidden), count: hidden) }
    for (batch, places) in checkedPlaces {
      for (token, row) in places { (inputs + (batch * tokens + row) * hidden).update(from: checked[token], count: hidden) }
    }
  }

  func free() {
    inputs.deallocate()
    output.deallocate()
  }

  func input(_ batch: Int) -> UnsafeMutablePointer<Float> { inputs + batch * tokens * hidden }

  /// Where the checked tokens are: first, in the middle and last of a batch, or in several batches when one is too small.
  var checkedPlaces: [(batch: Int, places: [(token: Int, row: Int)])] {
    switch tokens {
    case 1: [(0, [(0, 0)]), (1, [(1, 0)]), (2, [(2, 0)])]
    case 2: [(0, [(0, 0), (1, 1)]), (1, [(2, 0)])]
    default: [(0, [(0, 0), (1, tokens / 2), (2, tokens - 1)])]
    }
  }
}
