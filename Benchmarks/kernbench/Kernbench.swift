// The command line: subcommands and how errors leave the program.

import ArgumentParser
import Foundation
import MoE

@main
struct Kernbench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernbench",
    abstract: "Measures and verifies Mixture-of-Experts kernels.",
    subcommands: [
      Suite.self, Run.self, Verify.self, Inspect.self, Load.self, Synth.self, Devices.self, Place.self, Tune.self, Compare.self,
      Peers.self,
    ],
    defaultSubcommand: Suite.self)

  static func main() {
    Interrupts.watch()
    do {
      var command = try parseAsRoot()
      try command.run()
      try Output.finish()
    } catch {
      Progress.clear()
      guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
      // Not the usage: an error is one line, and its last words say where the rest is.
      let help = fullMessage(for: error).split(separator: "\n").last { $0.contains("--help") }
      let hint = help?.trimmingCharacters(in: .whitespaces).replacingOccurrences(of: "kernbench suite --help", with: "kernbench --help")
      let words = [message(for: error), hint].compactMap { $0 }
      FileHandle.standardError.write(Data("Error: \(words.joined(separator: ". "))\n".utf8))
      Foundation.exit(exitCode(for: error).rawValue)
    }
  }
}

/// A message for the user and exit code 1.
struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
