// Where a peer's environment lies; built when it is missing.

import Foundation
import MoE

enum PeerEnvironment {
  /// The folder of the Python files that come with kernbench.
  static var drivers: String { Bundle.module.bundlePath + "/drivers" }

  /// Below XDG_CACHE_HOME, or .cache of the home folder.
  static var cache: String {
    let variables = ProcessInfo.processInfo.environment
    let base = variables["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil } ?? NSHomeDirectory() + "/.cache"
    return base + "/swift-moe-kernels/peers"
  }

  /// The peer's environment; a build of minutes shows what it does on a terminal.
  ///
  /// - Throws: `Failure` with the reason when it cannot be built.
  static func folder(of peer: Peer) throws -> String {
    let build = try ChildProcess(["python3", drivers + "/environment.py", peer.environment, cache])
    defer { Progress.clear() }
    return try Interrupts.building {
      while true {
        // pip may be silent for as long as a download takes.
        let answer = try JSON(parsing: build.line(within: 3600))
        if let folder = answer["folder"]?.string { return folder }
        if let reason = answer["error"]?.string { throw Failure(reason) }
        Progress.show("\(peer.environment): \(answer["progress"]?.string ?? "")")
      }
    }
  }
}
