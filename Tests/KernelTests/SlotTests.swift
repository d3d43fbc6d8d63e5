// The slots of the kernel tables that work on rows: nonlinearities, combine, rounding to int8.

import CMoEKernels
import MoEReference
import MoETensors
import Testing

@Suite struct SlotTests {
  static let activations: [(moe_activation, NaiveActivation)] = [
    (MOE_SILU, .silu), (MOE_GELU, .gelu), (MOE_GELU_TANH, .geluTanh), (MOE_RELU, .relu), (MOE_RELU2, .relu2), (MOE_SWIGLU_OAI, .swigluOAI),
  ]
  static let counts = Array(0...40) + [63, 64, 65, 257]

  /// Ordinary, large, tiny and awkward arguments.
  private func arguments(_ count: Int, _ random: inout SeededRandom) -> [Float] {
    let special: [Float] = [0, -0.0, 7, -7, 7.5, -9, 88, -88, 100, -100, 1e-20, -1e-30, 30, -30]
    return (0..<count).map { $0 % 3 == 1 ? special.randomElement(using: &random)! : .random(in: -10...10, using: &random) }
  }

  @Test(arguments: KernelTable.runnable, activations.indices)
  func activationsStayWithinABound(_ table: KernelTable, _ index: Int) {
    let (kind, naive) = Self.activations[index]
    var random = SeededRandom(seed: 31)
    for count in Self.counts {
      for (limit, isGated) in [(Float.infinity, true), (7, true), (.infinity, false)] where isGated || kind != MOE_SWIGLU_OAI {
        let gate = arguments(count, &random), up = arguments(count, &random)
        var out = [Float](repeating: -5, count: count + 4)
        table.row.pointee.activate(moe_expert_activation(kind: kind, limit: limit, alpha: 1.702), isGated ? gate : nil, up, Int64(count), &out)
        for j in 0..<count {
          let expected = naive(gate: isGated ? Double(gate[j]) : nil, up: Double(up[j]), limit: Double(limit), alpha: 1.702)
          // 16 roundings of the value itself, and of the argument where it is small beside the exponential's.
          let argument = isGated ? Double(gate[j]) : 1, other = isGated ? Double(up[j]) : Double(up[j])
          let bound = 16 * Double(Float.ulpOfOne) * (abs(expected) + min(abs(argument), 1) * min(abs(other) + 1, 10) * (abs(argument) < 10 ? 1 : 0.01)) + 1e-36
          #expect(abs(Double(out[j]) - expected) <= bound, "\(naive) limit \(limit) gate \(gate[j]) up \(up[j]): \(out[j]), expected \(expected)")
        }
        #expect(out[count...].allSatisfy { $0 == -5 })
      }
    }
  }

  @Test(arguments: KernelTable.runnable, activations.indices)
  func activationsMayOverwriteTheirInput(_ table: KernelTable, _ index: Int) {
    var random = SeededRandom(seed: 32)
    let gate = arguments(77, &random), up = arguments(77, &random)
    let activation = moe_expert_activation(kind: Self.activations[index].0, limit: 7, alpha: 1.702)
    var apart = [Float](repeating: 0, count: 77), overGate = gate, overUp = up
    table.row.pointee.activate(activation, gate, up, 77, &apart)
    overGate.withUnsafeMutableBufferPointer { table.row.pointee.activate(activation, $0.baseAddress, up, 77, $0.baseAddress) }
    overUp.withUnsafeMutableBufferPointer { table.row.pointee.activate(activation, gate, $0.baseAddress, 77, $0.baseAddress) }
    #expect(apart == overGate && apart == overUp)
  }

  @Test(arguments: KernelTable.runnable, activations.indices)
  func activationsKeepNaN(_ table: KernelTable, _ index: Int) {
    let kind = Self.activations[index].0
    var out = [Float](repeating: 0, count: 4)
    table.row.pointee.activate(moe_expert_activation(kind: kind, limit: 7, alpha: 1.702), [.nan, 1, .nan, 1], [1, .nan, .nan, 1], 4, &out)
    #expect(out[..<3].allSatisfy(\.isNaN) && out[3].isFinite)
    if kind != MOE_SWIGLU_OAI {
      table.row.pointee.activate(moe_expert_activation(kind: kind, limit: .infinity, alpha: 1), nil, [.nan, 1, .infinity, -.infinity], 4, &out)
      #expect(out[0].isNaN && out[2] == .infinity)
      // The reference's gelu of -inf is NaN too.
      if kind != MOE_GELU && kind != MOE_GELU_TANH { #expect(out[3] == 0) }
    }
  }

  @Test(arguments: KernelTable.runnable)
  func swigluOAIValuesWorkedOut(_ table: KernelTable) {
    let expected: [Float] = [-41.999719, 1.268694, -1.62318e-6, 0]
    var out = [Float](repeating: 0, count: 4)
    table.row.pointee.activate(moe_expert_activation(kind: MOE_SWIGLU_OAI, limit: 7, alpha: 1.702), [8, 1, -10, 0], [-9, 0.5, 3, 17], 4, &out)
    for (a, b) in zip(out, expected) { #expect(abs(a - b) <= 4e-6 * max(abs(b), 1e-6)) }
    table.row.pointee.activate(moe_expert_activation(kind: MOE_SILU, limit: .infinity, alpha: 1), [1, 0, 0, 0], [0.5, 1, 2, 3], 4, &out)
    #expect(abs(out[0] - 0.365529) < 1e-6)
  }

  @Test(arguments: KernelTable.runnable)
  func combineSumsWeightedRowsInOrder(_ table: KernelTable) {
    var random = SeededRandom(seed: 33)
    for count in Self.counts {
      for k in 0...9 {
        let stride = count + 3, x = random.floats(11 * stride), y = random.floats(count), weights = random.floats(11), scale: Float = 0.7
        let rows = (0..<k).map { _ in Int64.random(in: 0..<11, using: &random) }
        for (isWeighted, goesOn) in [(true, false), (true, true), (false, true), (false, false)] {
          var out = (goesOn ? y : [Float](repeating: .nan, count: count)) + [-5, -5]
          out.withUnsafeMutableBufferPointer {
            table.row.pointee.combine(
              x, Int64(stride), rows, isWeighted ? weights : nil, scale, Int64(k), goesOn ? $0.baseAddress : nil, Int64(count), $0.baseAddress)
          }
          for j in 0..<count {
            let terms = rows.map { Double(isWeighted ? weights[Int($0)] : 1) * Double(scale) * Double(x[Int($0) * stride + j]) }
            let start = goesOn ? Double(y[j]) : 0, size = terms.reduce(abs(start)) { $0 + abs($1) }
            #expect(abs(Double(out[j]) - terms.reduce(start, +)) <= Double(k + 2) * Double(Float.ulpOfOne) / 2 * size)
          }
          #expect(out[count...] == [-5, -5])
        }
      }
    }
  }

  /// Rows added one by one are what `combine` sums at once.
  @Test(arguments: KernelTable.runnable)
  func rowsAddUpToTheirCombination(_ table: KernelTable) {
    var random = SeededRandom(seed: 34)
    for count in Self.counts {
      for k in [0, 1, 5] {
        let stride = count + 3, x = random.floats(9 * stride), y = random.floats(3 * stride), weights = random.floats(9), scale: Float = 0.7
        let targets = (0..<k).map { _ in Int32.random(in: 0..<3, using: &random) }
        for isWeighted in [true, false] {
          var added = y, combined = y
          table.row.pointee.add_rows(x, Int64(stride), Int64(k), Int64(count), isWeighted ? weights : nil, scale, targets, &added, Int64(stride))
          for target in 0..<3 {
            let rows = targets.indices.filter { targets[$0] == target }.map(Int64.init)
            combined.withUnsafeMutableBufferPointer {
              let sum = $0.baseAddress! + target * stride
              table.row.pointee.combine(x, Int64(stride), rows, isWeighted ? weights : nil, scale, Int64(rows.count), sum, Int64(count), sum)
            }
          }
          #expect(added.map(\.bitPattern) == combined.map(\.bitPattern), "\(k) rows of \(count)")
        }
      }
    }
  }

  @Test func int8RoundingIsItsDefinition() {
    var random = SeededRandom(seed: 37)
    for style in 0..<6 {
      let x: [Float] = (0..<320).map { index in
        switch style {
        case 0: .random(in: -1...1, using: &random)
        case 1: 0
        case 2: index % 64 < 32 ? .random(in: -1e30...1e30, using: &random) : .random(in: -0x1p-130...0x1p-130, using: &random)
        case 3: index == 40 ? .nan : .random(in: -1...1, using: &random)
        case 4: index == 300 ? -.infinity : .random(in: -1...1, using: &random)
        default: Float(index % 255) - 127
        }
      }
      let all = KernelTable.runnable.map { Int8Rows(x, columns: 320, by: $0) }
      for rows in all {
        #expect(rows.codes == all[0].codes)
        #expect(rows.scales.map(\.bitPattern) == all[0].scales.map(\.bitPattern))
        #expect(rows.codes.allSatisfy { $0 >= -127 })
      }
      for group in 0..<10 {
        let values = x[group * 32..<(group + 1) * 32], rows = all[0]
        guard values.allSatisfy(\.isFinite) else {
          #expect(rows.scales[group].isNaN)
          continue
        }
        let largest = values.map(abs).max()!
        for (index, value) in zip(values.indices, values) {
          #expect(abs(Double(rows.values[index]) - Double(value)) <= Double(largest) / 127 * 0.5001 + 0x1p-120)
        }
      }
    }
  }
}
