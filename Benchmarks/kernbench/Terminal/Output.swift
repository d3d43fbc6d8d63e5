// Standard output, line by line also in a pipe.

import Foundation
import Synchronization

enum Output {
  /// The errno of the first line that could not be written.
  private static let failure = Atomic<Int32>(0)

  /// Prints a line and hands it on at once: who reads a pipe sees rows as they are done.
  static func line(_ text: String) {
    print(text)
    flush()
  }

  private static func flush() {
    guard fflush(nil) != 0 else { return }
    _ = failure.compareExchange(expected: 0, desired: errno, ordering: .relaxed)
  }

  /// - Throws: `Failure` when something printed could not be written, such as to a full disk.
  static func finish() throws {
    flush()
    let status = failure.load(ordering: .relaxed)
    guard status == 0 else { throw Failure("standard output cannot be written: \(String(cString: strerror(status)))") }
  }
}
