// `kernbench tune`: the sizes that an OpenCL device multiplies fastest with.

import ArgumentParser
import MoE

struct Tune: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tries sizes of work-groups on an OpenCL device and keeps those that beat the default by more than the noise.")

  @Option(help: "An OpenCL device: opencl or opencl:N.") var device = "opencl"
  @Option(parsing: .unconditional, help: "About how long to try.") var seconds = 30.0

  func run() throws {
    guard case .openCL(let index) = try DeviceChoice(device).device else { throw Failure("--device \(device): only OpenCL devices are tuned") }
    guard seconds > 0, seconds <= 86400 else { throw Failure("--seconds \(seconds): expected at most a day") }
    #if OpenCL
      let tuning = try Machine.current(threads: 1).tune(index, seconds: seconds)
      print("\(tuning.method): group rows, group tokens, item rows, item tokens, step, few; the default first")
      for trial in tuning.trials {
        let result = trial.milliseconds.map { "\(fixed($0, 2)) ms, spread \(fixed(100 * trial.spread, 0))%" } ?? trial.failure ?? ""
        print("\(trial.sizes.map(String.init).joined(separator: " ")): \(result)")
      }
      print(tuning.kept.map { "kept \($0.map(String.init).joined(separator: " "))" } ?? "the default stays")
    #else
      throw Failure("the package was built without the trait OpenCL")
    #endif
  }
}
