// Interrupts while files are being written: the work stops at the next piece, and what is half written goes.

import ArgumentParser
import Foundation
import Synchronization

/// Turns SIGINT, SIGTERM and SIGHUP into an error at the next `check`, so that writers give up in order.
enum Interrupts {
  private static let caught = Atomic<Int32>(0)

  static func watch() {
    // The first access makes the flag; a handler must not be the one to do it.
    caught.store(0, ordering: .relaxed)
    for number in [SIGINT, SIGTERM, SIGHUP] { signal(number) { Interrupts.caught.store($0, ordering: .relaxed) } }
  }

  /// - Throws: the exit code of a program that ended by the signal caught.
  static func check() throws {
    let number = caught.load(ordering: .relaxed)
    guard number != 0 else { return }
    Progress.clear()
    FileHandle.standardError.write(Data("interrupted; nothing was left behind\n".utf8))
    throw ExitCode(128 + number)
  }
}
