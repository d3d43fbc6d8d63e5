// Interrupts: a program that holds nothing ends at once, one that writes files ends when what is half written is gone.

import ArgumentParser
import Foundation
import Synchronization

/// What SIGINT, SIGTERM and SIGHUP do.
enum Interrupts {
  private static let caught = Atomic<Int32>(0)
  private static let isHeld = Atomic<Bool>(false)
  private static let message: StaticString = "interrupted; nothing was left behind\n"
  private static let terminalMessage: StaticString = "\r\u{1B}[Kinterrupted; nothing was left behind\n"
  private static let buildMessage: StaticString = "interrupted; the next run goes on building where this one stopped\n"
  private static let terminalBuildMessage: StaticString = "\r\u{1B}[Kinterrupted; the next run goes on building where this one stopped\n"
  private static let toTerminal = Atomic<Bool>(false)
  private static let isBuilding = Atomic<Bool>(false)

  /// From now on a signal ends the program with 128 + its number, unless it is held.
  static func watch() {
    // The first access makes the flags; a handler must not be the one to do it.
    caught.store(0, ordering: .relaxed)
    isHeld.store(false, ordering: .relaxed)
    toTerminal.store(isatty(STDERR_FILENO) == 1, ordering: .relaxed)
    isBuilding.store(false, ordering: .relaxed)
    _ = (message, terminalMessage, buildMessage, terminalBuildMessage)
    for number in [SIGINT, SIGTERM, SIGHUP] {
      let before = signal(number) { Interrupts.handle($0) }
      // A program started by nohup goes on.
      if number == SIGHUP, unsafeBitCast(before, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) { signal(number, SIG_IGN) }
    }
  }

  /// Calls nothing that a signal handler may not.
  private static func handle(_ number: Int32) {
    caught.store(number, ordering: .relaxed)
    guard !isHeld.load(ordering: .relaxed) else { return }
    let isTerminal = toTerminal.load(ordering: .relaxed)
    let text = isBuilding.load(ordering: .relaxed) ? (isTerminal ? terminalBuildMessage : buildMessage) : isTerminal ? terminalMessage : message
    _ = write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
    _exit(128 + number)
  }

  /// A signal during `body`, which builds something in steps that stay, says so.
  static func building<Result>(_ body: () throws -> Result) rethrows -> Result {
    isBuilding.store(true, ordering: .relaxed)
    defer { isBuilding.store(false, ordering: .relaxed) }
    return try body()
  }

  /// Keeps signals waiting while `body` writes; long bodies call `check` where they can be undone. A signal caught ends the program after it.
  static func held<Result>(_ body: () throws -> Result) rethrows -> Result {
    isHeld.store(true, ordering: .relaxed)
    defer { isHeld.store(false, ordering: .relaxed) }
    let result = try body()
    isHeld.store(false, ordering: .relaxed)
    let number = caught.load(ordering: .relaxed)
    if number != 0 { handle(number) }
    return result
  }

  /// - Throws: the exit code of a program that ended by the signal caught.
  static func check() throws {
    let number = caught.load(ordering: .relaxed)
    guard number != 0 else { return }
    Progress.clear()
    FileHandle.standardError.write(Data(message.description.utf8))
    throw ExitCode(128 + number)
  }
}
