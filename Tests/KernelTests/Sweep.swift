// How much of a sweep runs: `MOE_SWEEP=full` all of it, `MOE_SWEEP=small` what a sanitizer has time for, else a rotation through it.

import Foundation

enum Sweep {
  private static let setting = ProcessInfo.processInfo.environment["MOE_SWEEP"]
  static let isFull = setting == "full"
  static let isSmall = setting == "small"

  /// Every `step`-th element where the sweep is small, else all.
  static func some<T>(_ all: [T], every step: Int) -> [T] {
    isSmall ? all.enumerated().filter { $0.offset % step == 0 }.map(\.element) : all
  }
}
