// The command line: subcommands and how errors leave the program.

import ArgumentParser
import MoE

@main
struct Kernbench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernbench",
    abstract: "Measures and verifies Mixture-of-Experts kernels.",
    subcommands: [Suite.self, Run.self, Verify.self, Inspect.self, Synth.self, Devices.self, Compare.self], defaultSubcommand: Suite.self)
}

/// A message for the user and exit code 1.
struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
