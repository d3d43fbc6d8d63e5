// A line of progress on a terminal, nothing in a pipe.

import Foundation

/// Overwrites one line of standard error; silent unless that is a terminal.
struct Progress {
  private static let isTerminal = isatty(STDERR_FILENO) == 1

  /// Shows `text` in place of the line shown before.
  static func show(_ text: @autoclosure () -> String) {
    guard isTerminal else { return }
    FileHandle.standardError.write(Data("\r\u{1B}[K\(text().prefix(110))".utf8))
  }

  /// Removes the line.
  static func clear() {
    guard isTerminal else { return }
    FileHandle.standardError.write(Data("\r\u{1B}[K".utf8))
  }
}
