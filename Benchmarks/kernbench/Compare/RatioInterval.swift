// The ratio of two rows' medians and the interval it is known to lie in.

import Foundation
import MoE

/// A ratio new / old with a 95% confidence interval.
struct RatioInterval {
  enum Source: String {
    /// Both rows' timings, resampled.
    case samples
    /// The distance of the rows' quartiles: the number of calls is not known, so the interval is that of a single call.
    case spread
    /// The rows say nothing about how their calls differ.
    case none
  }

  let ratio: Double
  /// Nil when `source` is none.
  let bounds: ClosedRange<Double>?
  let source: Source

  init(old: ReportedRow.Times, new: ReportedRow.Times) {
    ratio = new.medianMs / old.medianMs
    if old.samplesMs.count >= 3, new.samplesMs.count >= 3 {
      let resampled = Self.bootstrap(old.samplesMs, new.samplesMs)
      // Thinned timings have a median of their own: the interval never leaves the ratio out.
      (bounds, source) = (min(resampled.lowerBound, ratio)...max(resampled.upperBound, ratio), .samples)
    } else if let first = old.spread, let second = new.spread {
      // Quartiles of normal values are 1.349 standard deviations apart.
      let deviation = (first * first + second * second).squareRoot() / 1.349
      (bounds, source) = (ratio * exp(-1.96 * deviation)...ratio * exp(1.96 * deviation), .spread)
    } else {
      (bounds, source) = (nil, .none)
    }
  }

  /// Percentiles 2.5 and 97.5 of the ratio of medians over 2,000 resamples of both; the same for the same timings.
  private static func bootstrap(_ old: [Double], _ new: [Double]) -> ClosedRange<Double> {
    var random = SeededRandom(seed: 2000)
    let old = old.sorted(), new = new.sorted()
    let ratios = (0..<2000).map { _ in resampledMedian(new, &random) / resampledMedian(old, &random) }
    return ratios.quantile(0.025)...ratios.quantile(0.975)
  }

  /// Median of as many draws, with replacement, as there are values; `sorted` ascending.
  private static func resampledMedian(_ sorted: [Double], _ random: inout SeededRandom) -> Double {
    let count = sorted.count
    var draws = [Int](repeating: 0, count: count)
    for _ in 0..<count { draws[Int(random.uniform() * Double(count))] += 1 }
    // Values of rank (count - 1) / 2 and count / 2: one and the same when the count is odd.
    func value(of rank: Int) -> Double {
      var seen = 0
      for index in 0..<count {
        seen += draws[index]
        if seen > rank { return sorted[index] }
      }
      return sorted[count - 1]
    }
    return (value(of: (count - 1) / 2) + value(of: count / 2)) / 2
  }
}
