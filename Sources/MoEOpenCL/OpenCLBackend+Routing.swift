// A layer's call in one chain of launches: route, plan, products, sum.

#if OpenCL
import MoEDispatch
import MoEGroupedGEMM
import MoEPlacement
import MoETensors

extension OpenCLBackend: RoutingBackend {
  var mostRouted: Int? { router?.most }

  func routedCombined(
    _ routed: ExpertPass, _ shared: ExpertPass?, into output: FloatRows, choices: UnsafeMutablePointer<Int32>
  ) throws(OpenCLError) {
    let router = router!, device = memory(of: routed), others = shared.map(memory(of:)), words = output.count * (2 * router.most + 1)
    try stage(device, others) { () throws(OpenCLError) in
      // Uploads first: those to memory shared with the host wait for what was launched before.
      try device.upload(routed.input, to: device.input)
      if let shared, let others {
        try upload(shared.plan, of: shared)
        try others.upload(shared.input, to: others.input)
      }
      try router.choose(device, tokens: output.count)
      try router.plan(device, tokens: output.count, bank(of: routed))
      for case let pass? in [routed, shared] {
        try launchGateUp(pass)
        try launchDown(pass)
      }
      let result = try device.room(device.result, output.count, output.columns)
      try launchCombine(routed, into: result, output, adding: false)
      if let shared { try launchCombine(shared, into: result, output, adding: true) }
      try others?.finish()
      try device.download(device.result, into: output)
      try device.choices.buffer!.read(of: 4 * words) { source, _ in choices.update(from: source.assumingMemoryBound(to: Int32.self), count: words) }
    }
  }
}
#endif
