// The systems that layers are compared with, and which program runs them.

import MoE

/// Systems that one driver runs in one environment.
struct Peer {
  /// The section of `pins.ini`.
  let environment: String
  /// The file of `drivers`.
  let driver: String
  /// What `--peer` chooses, each a row.
  let systems: [String]
  /// Whether the driver reads decoded f32 values beside the published blocks.
  let readsValues: Bool
  /// Bytes that a system holds for each value of the weights, beside what it maps; the published bytes where nil.
  let bytesPerValue: Double?
  /// False for systems that only run when named.
  var isDefault = true

  static let all: [Peer] = [
    Peer(
      environment: "llama.cpp", driver: "llama_cpp.py", systems: ["llama.cpp", "llama.cpp-repack"], readsValues: false, bytesPerValue: nil),
    Peer(
      environment: "llama.cpp-avx2", driver: "llama_cpp.py", systems: ["llama.cpp-avx2", "llama.cpp-avx2-repack"], readsValues: false,
      bytesPerValue: nil, isDefault: false),
    Peer(
      environment: "onnxruntime", driver: "onnx_runtime.py",
      systems: ["onnxruntime-int4-acc4", "onnxruntime-int4", "onnxruntime-int8", "onnxruntime-f32"], readsValues: true, bytesPerValue: 8),
    Peer(
      environment: "torch", driver: "pytorch.py",
      systems: ["torch-eager-f32", "torch-grouped-f32", "torch-eager-bf16", "torch-grouped-bf16"], readsValues: true, bytesPerValue: 2),
    Peer(environment: "openblas", driver: "openblas.py", systems: ["openblas"], readsValues: true, bytesPerValue: 0),
    Peer(environment: "clblast", driver: "clblast.py", systems: ["clblast"], readsValues: true, bytesPerValue: 0, isDefault: false),
  ]

  /// The peers with the systems of these names; a peer's name stands for all its systems, unless a system is called so.
  ///
  /// - Throws: `Failure` for a name that none has.
  static func chosen(_ names: [String]?) throws -> [Peer] {
    guard let names else { return all.filter(\.isDefault) }
    for name in names where !all.contains(where: { $0.answers(to: name) }) {
      throw Failure("unknown peer '\(name)'; there are \(all.flatMap { [$0.environment] + $0.systems }.unique.joined(separator: ", "))")
    }
    return all.compactMap { peer in
      let systems = peer.systems.filter { system in names.contains { $0 == system || $0 == peer.environment && !peer.systems.contains($0) } }
      return systems.isEmpty ? nil : peer.with(systems)
    }
  }

  private func answers(to name: String) -> Bool { environment == name || systems.contains(name) }

  func with(_ systems: [String]) -> Peer {
    Peer(
      environment: environment, driver: driver, systems: systems, readsValues: readsValues, bytesPerValue: bytesPerValue, isDefault: isDefault)
  }
}

extension Array where Element: Equatable {
  /// Each element once, in order.
  var unique: [Element] { enumerated().filter { !self[..<$0.offset].contains($0.element) }.map(\.element) }
}
