// What a checkpoint holds that is no MoE layer to the package, though it looks like one.

import MoE

/// Experts outside of every MoE layer found.
struct Noticed {
  let lines: [String]

  init(_ model: MoEModel) {
    let names = model.checkpoint.tensors.tensorNames, prefixes = Set(model.blocks.map(\.prefix))
    // A layer's experts may lie in a folder of its prefix, or beside the folder its router has.
    let around = Set(prefixes.flatMap(Self.paths))
    var counts: [(head: String, tensors: Int)] = [], places: [String: Int] = [:]
    for head in names.lazy.compactMap(Self.head) {
      if let place = places[head] {
        counts[place].tensors += 1
      } else if !around.contains(head), !Self.paths(to: head).contains(where: prefixes.contains) {
        places[head] = counts.count
        counts.append((head, 1))
      }
    }
    let routed = Set(names.compactMap(Self.routed))
    lines = counts.map { head, tensors in
      let what = "\(head) has \(tensors) tensor\(tensors == 1 ? "" : "s") of experts"
      return routed.contains(head) ? "\(what) and a router, but is none of the model's layers" : "\(what) but no router"
    }
  }

  /// "a", "a.b", "a.b.c" of "a.b.c".
  private static func paths(to name: String) -> [String] {
    name.indices.filter { name[$0] == "." }.map { String(name[..<$0]) } + [name]
  }

  /// What stands before the experts in a tensor's name; nil for a tensor of no routed expert.
  private static func head(_ name: String) -> String? {
    if let experts = name.firstRange(of: ".experts.") { return String(name[..<experts.lowerBound]) }
    guard name.contains("_exps."), let role = name.firstRange(of: ".ffn_") else { return nil }
    return String(name[..<role.lowerBound])
  }

  /// What stands before a router in a tensor's name.
  private static func routed(_ name: String) -> String? {
    for router in [".gate.weight", ".router.weight", ".router.classifier.weight", ".ffn_gate_inp.weight"] where name.hasSuffix(router) {
      return String(name.dropLast(router.count))
    }
    return nil
  }
}
