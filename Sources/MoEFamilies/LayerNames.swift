// The tensors of one block by name, as they are in this checkpoint.

internal import MoECheckpoint

/// Full names of the tensors of one MoE block; templates keep `{expert}`.
package struct LayerNames: Sendable {
  package var routerWeight: String
  package var routerBias: String?
  package var choiceBias: String?
  /// "split", "split_ungated", "fused_out_in", "fused_in_out", "fused_in_out_interleaved", "stacked", "flat", "embedding".
  package var layout: String
  /// Names by role: gate, up, down, gate_up, down_embed, up_embed, each with `_bias` where there is one.
  package var experts: [String: String]
  package var shared: [String: String]
  package var sharedGate: String?
  package var latentIn: String?
  package var latentOut: String?
  package var outputBias: String?
}

extension MoEModel {
  func holds(_ name: String) throws(MoEError) -> Bool {
    try MoEError.reading { () throws(CheckpointError) in try checkpoint.tensors.tensor(name) } != nil
  }

  /// The first layout of the family whose tensors the block has.
  func expertLayout(of block: MoEBlock) throws(MoEError) -> ExpertLayout {
    let reader = LinearReader(tensors: checkpoint.tensors, quantization: quantization)
    for layout in family.layouts {
      let up = layout.probe.replacing("{expert}", with: "0").below(block.prefix)
      var found = try holds(up)
      if !found { found = try reader.holdsLinear(up) }
      if !found { found = try holds(up + "_blocks") }
      if found { return layout }
    }
    throw .missingTensor(
      family.layouts.map { $0.probe.below(block.prefix) }.joined(separator: "' or '"), file: checkpoint.tensors.fileDescription)
  }

  /// Names of the block's tensors.
  ///
  /// - Throws: `MoEError.missingTensor` when the experts or a needed bias are not there.
  package func names(of block: MoEBlock) throws(MoEError) -> LayerNames {
    let configuration = try configuration(of: block)
    let reader = ConfigurationReader(lookup: lookup, family: name, layer: block.layer)
    func first(_ candidates: [String]) throws(MoEError) -> String? {
      for candidate in candidates where try holds(candidate.below(block.prefix)) { return candidate.below(block.prefix) }
      return nil
    }
    guard let routerWeight = try first(family.routerNames.weight) else {
      throw .missingTensor(family.routerNames.weight[0].below(block.prefix), file: checkpoint.tensors.fileDescription)
    }
    if try holds("gate.tid2eid".below(block.prefix)) {
      throw .badValue(
        key: "gate.tid2eid".below(block.prefix), value: "present", reason: "layers that choose experts by token id are not read")
    }
    let needsBias: Bool? = if let flag = family.routerNames.needsChoiceBias { try reader.flag(flag) } else { nil }
    let choiceBias = needsBias == false ? nil : try first(family.routerNames.choiceBias)
    if choiceBias == nil, needsBias == true {
      throw .missingTensor(family.routerNames.choiceBias[0].below(block.prefix), file: checkpoint.tensors.fileDescription)
    }
    let layout = try expertLayout(of: block)
    var names = LayerNames(
      routerWeight: routerWeight, routerBias: try first(family.routerNames.bias), choiceBias: choiceBias, layout: layout.name,
      experts: [:], shared: [:])
    for (role, relative) in layout.roles {
      names.experts[role] = relative.below(block.prefix)
      let probe = relative.replacing("{expert}", with: "0").below(block.prefix)
      for suffix in [".bias", "_bias"] where try holds(probe + suffix) { names.experts["\(role)_bias"] = relative.below(block.prefix) + suffix }
    }
    if configuration.shared != nil, let shared = family.shared {
      switch shared.names {
      case .split(let gate, let up, let down):
        for (role, relative) in [("gate", gate), ("up", up), ("down", down)] {
          guard let full = relative?.below(block.prefix) else { continue }
          names.shared[role] = full
          if try holds(full + ".bias") { names.shared["\(role)_bias"] = full + ".bias" }
        }
      case .fused(let gateUp, let down):
        names.shared = ["gate_up": gateUp.below(block.prefix), "down": down.below(block.prefix)]
      }
      names.sharedGate = shared.gate?.below(block.prefix)
    }
    if configuration.isLatent, let latent = family.latent {
      (names.latentIn, names.latentOut) = (latent.into.below(block.prefix), latent.outOf.below(block.prefix))
    }
    names.outputBias = family.outputBias?.below(block.prefix)
    return names
  }
}

extension ExpertLayout {
  /// The name whose presence tells that experts are stored this way.
  var probe: String {
    switch self {
    case .split(_, let up, _): up
    case .stacked(_, let up, _): "\(up).weight"
    case .fused(let gateUp, _, _, _): gateUp
    case .flat(_, let up, _): up
    case .embedding(let down, _): down
    }
  }

  var name: String {
    switch self {
    case .split(let gate, _, _): gate == nil ? "split_ungated" : "split"
    case .stacked: "stacked"
    case .fused(_, _, .outputMajor, _): "fused_out_in"
    case .fused(_, _, .inputMajor, .halves): "fused_in_out"
    case .fused(_, _, .inputMajor, .interleaved): "fused_in_out_interleaved"
    case .flat: "flat"
    case .embedding: "embedding"
    }
  }

  /// Names by role.
  var roles: [(role: String, name: String)] {
    switch self {
    case .split(let gate, let up, let down), .stacked(let gate, let up, let down):
      (gate.map { [("gate", $0)] } ?? []) + [("up", up), ("down", down)]
    case .fused(let gateUp, let down, _, _): [("gate_up", gateUp), ("down", down)]
    case .flat(let gate, let up, let down): [("gate", gate), ("up", up), ("down", down)]
    case .embedding(let down, let up): [("down_embed", down), ("up_embed", up)]
    }
  }
}
