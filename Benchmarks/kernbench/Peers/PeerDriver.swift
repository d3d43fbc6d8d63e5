// A peer's driver at work: a child process that keeps a layer loaded and answers one timing at a time.

import Foundation
import MoE

/// A system that is ready to compute the layer.
struct PeerSystem {
  let name: String
  let version: String
  let settings: String
}

/// Requests to a driver; every error names what it said or did.
final class PeerDriver {
  private let child: ChildProcess
  private let deadline: Double

  /// - Parameters:
  ///   - command: the interpreter, the driver's file and its argument.
  ///   - deadline: seconds that an answer may take.
  /// - Throws: `Failure` when it cannot be started.
  init(_ command: [String], threads: Int, weights: SharedMemory, exchange: SharedMemory, deadline: Double) throws {
    let count = "\(threads)"
    child = try ChildProcess(
      command,
      environment: [
        "PYTHONPATH": PeerEnvironment.drivers, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
      ],
      files: [weights.descriptor, exchange.descriptor])
    self.deadline = deadline
  }

  /// Hands the layer over.
  ///
  /// - Returns: the systems that are ready, and the others with their reasons.
  func load(_ layer: JSON, systems: [String]) throws -> (ready: [PeerSystem], refused: [(name: String, reason: String)]) {
    var request = layer.object ?? [:]
    request["systems"] = .array(systems.map(JSON.string))
    let answer = try ask(.object(request)), answers = answer["systems"]?.array ?? []
    var ready: [PeerSystem] = [], refused: [(name: String, reason: String)] = []
    for (name, system) in zip(systems, answers) {
      guard system["name"]?.string == name else { throw Failure("answered \(answer.serialized().prefix(200)) to a request for \(name)") }
      if let settings = system["settings"]?.string {
        ready.append(PeerSystem(name: name, version: system["version"]?.string ?? "", settings: settings))
      } else {
        refused.append((name, system["reason"]?.string ?? "gave no reason"))
      }
    }
    guard answers.count == systems.count else { throw Failure("answered \(answers.count) systems of \(systems.count)") }
    return (ready, refused)
  }

  /// Hands batches over, which lie in the shared memory at these offsets.
  func prepare(_ places: ExchangePlaces) throws {
    let answer = try ask(.object(places.fields.merging(["do": .string("prepare")]) { $1 }))
    guard answer["ready"]?.bool == true else { throw Failure("answered \(answer.serialized().prefix(200))") }
  }

  /// One call on a batch, after calls on the batches `warm` that are not timed; the output is then in the shared memory.
  func run(_ system: String, batch: Int, warm: [Int] = []) throws -> TimedCall {
    let answer = try ask(.object([
      "do": .string("run"), "system": .string(system), "batch": .integer(batch), "warm": .array(warm.map(JSON.integer)),
    ]))
    guard let seconds = answer["seconds"]?.double, seconds > 0, seconds.isFinite else { throw Failure("answered \(answer.serialized().prefix(200))") }
    return TimedCall(seconds: seconds, waited: answer["waited"]?.double ?? 0)
  }

  /// The driver's process.
  var id: pid_t { child.id }

  private func ask(_ request: JSON) throws -> JSON {
    try child.send(request.serialized())
    let line = try child.line(within: deadline)
    guard let answer = try? JSON(parsing: line) else { throw Failure("answered no JSON: \(line.prefix(200))") }
    if let reason = answer["error"]?.string { throw Failure(reason) }
    return answer
  }
}
