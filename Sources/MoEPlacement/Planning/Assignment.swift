// The Hungarian method: which old place each new one takes so that most is kept.

/// For each row the column it takes, each column once, so that the sum of `gains` is largest; O(n^3).
package func assignment(maximising gains: [[Int]]) -> [Int] {
  let count = gains.count
  var rowPrice = Array(repeating: 0, count: count + 1), columnPrice = rowPrice, rowOf = rowPrice, previous = rowPrice
  // Shortest augmenting paths over reduced costs; index 0 is the row that looks for a column.
  for row in stride(from: 1, through: count, by: 1) {
    rowOf[0] = row
    var column = 0
    var slack = Array(repeating: Int.max, count: count + 1), isDone = Array(repeating: false, count: count + 1)
    repeat {
      isDone[column] = true
      let current = rowOf[column]
      var step = Int.max, next = 0
      for candidate in 1...count where !isDone[candidate] {
        let cost = -gains[current - 1][candidate - 1] - rowPrice[current] - columnPrice[candidate]
        if cost < slack[candidate] { (slack[candidate], previous[candidate]) = (cost, column) }
        if slack[candidate] < step { (step, next) = (slack[candidate], candidate) }
      }
      for candidate in 0...count {
        if isDone[candidate] {
          rowPrice[rowOf[candidate]] += step
          columnPrice[candidate] -= step
        } else if slack[candidate] < .max {
          slack[candidate] -= step
        }
      }
      column = next
    } while rowOf[column] != 0
    while column != 0 {
      rowOf[column] = rowOf[previous[column]]
      column = previous[column]
    }
  }
  var columns = Array(repeating: 0, count: count)
  for column in stride(from: 1, through: count, by: 1) { columns[rowOf[column] - 1] = column - 1 }
  return columns
}
