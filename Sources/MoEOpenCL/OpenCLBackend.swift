// The OpenCL backend: experts on a device, rows that stay there from one product to the sum.

#if OpenCL
import CMoEKernels
import MoEDispatch
import MoEExperts
import MoEGroupedGEMM
import MoEPlacement
import MoERouting
import MoETensors

/// Grouped GEMM on an OpenCL device. A token's result is the same bits in every call and every batch.
struct OpenCLBackend: Sendable {
  let context: OpenCLContext
  /// Nil where the host routes.
  let router: DeviceRouter?
  private let index: Int
  let precision: ActivationPrecision
  private let banks: [ObjectIdentifier: DeviceBank]
  /// By the address of their codes.
  private let projections: [Int: Projection]

  /// A matrix for every row, with what keeps its codes.
  private struct Projection: Sendable {
    let product: DeviceProduct, matrix: PackedMatrix
  }

  /// Uploads what `former` has not.
  init(
    _ context: OpenCLContext, index: Int, _ banks: [ExpertBank], _ projections: [PackedMatrix], _ precision: ActivationPrecision, _ router: Router?,
    former: OpenCLBackend?
  ) throws(OpenCLError) {
    (self.context, self.index, self.precision) = (context, index, precision)
    var uploaded: [ObjectIdentifier: DeviceBank] = [:], projected: [Int: Projection] = [:]
    for bank in banks {
      let key = ObjectIdentifier(bank.borrowed)
      uploaded[key] =
        if let known = former?.banks[key] { known } else {
          try DeviceBank(bank, precision, beside: former?.banks.values.flatMap(\.experts) ?? [], in: context)
        }
    }
    for matrix in projections {
      let key = Self.key(matrix)
      projected[key] =
        if let known = former?.projections[key] { known } else {
          Projection(product: try DeviceProduct(up: HostMatrix(matrix), in: context), matrix: matrix)
        }
    }
    (self.banks, self.projections) = (uploaded, projected)
    self.router = try router.flatMap { (router) throws(OpenCLError) in
      try DeviceRouter.suiting(router, uploaded[ObjectIdentifier(banks[0].borrowed)]!, in: context)
    }
  }

  private static func key(_ matrix: PackedMatrix) -> Int { Int(bitPattern: matrix.borrowed.data) }

  func bank(of pass: ExpertPass) -> DeviceBank { banks[ObjectIdentifier(pass.bank.borrowed)]! }

  /// What a pass keeps on the device.
  func memory(of pass: ExpertPass) -> DevicePass { DevicePass.of(pass.memory, context) }

  /// Runs a stage on the passes of a call.
  func stage(_ passes: DevicePass?..., body: @escaping () throws(OpenCLError) -> Void) throws(OpenCLError) {
    try context.run { () throws(OpenCLError) in try finishing(passes, body) }
  }

  /// Calls `body`; where it fails, nothing of the passes is left running.
  private func finishing(_ passes: [DevicePass?], _ body: () throws(OpenCLError) -> Void) throws(OpenCLError) {
    do throws(OpenCLError) { try body() } catch {
      for case let pass? in passes { try? pass.finish() }
      throw error
    }
  }

  func upload(_ plan: DispatchPlan, of pass: ExpertPass) throws(OpenCLError) {
    let parts = bank(of: pass).parts
    try memory(of: pass).upload(plan, parts: parts.lazy.map(\.experts), parts[0].gateUp.shape)
  }

  func launchGateUp(_ pass: ExpertPass) throws(OpenCLError) {
    let memory = memory(of: pass), activated = try memory.room(memory.activated, memory.plan.rows, pass.bank.intermediate), bank = bank(of: pass)
    for tiles in memory.plan.tiles {
      try bank.parts[tiles.part].gateUp.launch(tiles, of: memory, gathers: true, x: memory.input.buffer!, y: activated)
    }
  }

  func launchDown(_ pass: ExpertPass) throws(OpenCLError) {
    let memory = memory(of: pass), outputs = try memory.room(memory.outputs, memory.plan.rows, pass.bank.hidden), bank = bank(of: pass)
    for tiles in memory.plan.tiles {
      try bank.parts[tiles.part].down.launch(tiles, of: memory, gathers: false, x: memory.activated.buffer!, y: outputs)
    }
  }

  func launchCombine(_ pass: ExpertPass, into result: DeviceBuffer, _ output: FloatRows, adding: Bool) throws(OpenCLError) {
    try bank(of: pass).parts[0].down.combine(
      memory(of: pass), tokens: output.count, columns: output.columns, adding: adding, weighs: !pass.bank.weightOnInput, scale: pass.bank.outputScale,
      into: result)
  }
}

extension OpenCLBackend: DeviceBackend {
  func start(_ sums: [DeviceSums]) throws(OpenCLError) -> any DeviceWork {
    let memories = sums.map { memory(of: $0.pass) }
    return OpenCLWork(context: context, work: try context.start { () throws(OpenCLError) in
      try finishing(memories) { () throws(OpenCLError) in
        for (sum, memory) in zip(sums, memories) {
          try upload(sum.pass.plan, of: sum.pass)
          try memory.upload(sum.pass.input, to: memory.input)
        }
        for (sum, memory) in zip(sums, memories) {
          try launchGateUp(sum.pass)
          try launchDown(sum.pass)
          let result = try memory.room(memory.result, sum.sums.count, sum.sums.columns)
          try launchCombine(sum.pass, into: result, sum.sums, adding: false)
        }
        for (sum, memory) in zip(sums, memories) { try memory.download(memory.result, into: sum.sums) }
      }
    })
  }
}

/// Work on the thread of a device.
private struct OpenCLWork: DeviceWork {
  let context: OpenCLContext, work: DriverWork<Void>

  func finish() throws(OpenCLError) { try context.finish(work) }
}

extension OpenCLBackend: GroupedGEMMBackend {
  var name: String { "opencl:\(index)" }

  func precision(of bank: ExpertBank) -> ActivationPrecision {
    banks[ObjectIdentifier(bank.borrowed)]!.parts.lazy.map(\.precision).first { $0 != .float } ?? .float
  }

  func gateUp(_ routed: ExpertPass, _ shared: ExpertPass?, _ memory: StageMemory, feedsDown: Bool) throws(OpenCLError) {
    try stage(self.memory(of: routed), shared.map(self.memory(of:))) { () throws(OpenCLError) in
      for case let pass? in [routed, shared] {
        let memory = self.memory(of: pass)
        try upload(pass.plan, of: pass)
        try memory.upload(pass.input, to: memory.input)
        try launchGateUp(pass)
        if !feedsDown { try memory.download(memory.activated, into: pass.activated) }
      }
    }
  }

  func downCombined(_ routed: ExpertPass, _ shared: ExpertPass?, into output: FloatRows, adding: Bool, _ memory: StageMemory) throws(OpenCLError) {
    guard output.count > 0 else { return }
    let device = self.memory(of: routed), others = shared.map(self.memory(of:))
    try stage(device, others) { () throws(OpenCLError) in
      if adding { try device.upload(output, to: device.result) }
      let result = try device.room(device.result, output.count, output.columns)
      for case let pass? in [routed, shared] { try launchDown(pass) }
      try launchCombine(routed, into: result, output, adding: adding)
      if let shared { try launchCombine(shared, into: result, output, adding: true) }
      try others?.finish()
      try device.download(device.result, into: output)
    }
  }

  func down(_ pass: ExpertPass, into outputs: FloatRows, _ memory: StageMemory) throws(OpenCLError) {
    let device = self.memory(of: pass)
    try stage(device) { () throws(OpenCLError) in
      try upload(pass.plan, of: pass)
      try device.upload(pass.activated, to: device.activated)
      try launchDown(pass)
      try device.download(device.outputs, into: outputs)
    }
  }

  func combine(_ pass: ExpertPass, _ outputs: FloatRows, into output: FloatRows, adding: Bool) throws(OpenCLError) {
    guard output.count > 0 else { return }
    let device = memory(of: pass)
    try stage(device) { () throws(OpenCLError) in
      try upload(pass.plan, of: pass)
      try device.upload(pass.input, to: device.input)
      try device.upload(outputs, to: device.outputs)
      if adding { try device.upload(output, to: device.result) }
      try launchCombine(pass, into: try device.room(device.result, output.count, output.columns), output, adding: adding)
      try device.download(device.result, into: output)
    }
  }

  func project(_ matrix: PackedMatrix, _ input: FloatRows, into outputs: FloatRows, _ memory: StageMemory) throws(OpenCLError) {
    let product = projections[Self.key(matrix)]!.product, device = DevicePass.of(memory.projection, context)
    try stage(device) { () throws(OpenCLError) in
      let plan = DispatchPlan(everyToken: [Float](repeating: 1, count: input.count))
      try device.upload(plan, parts: CollectionOfOne(product.experts), product.shape)
      try device.upload(input, to: device.input)
      let projected = try device.room(device.outputs, input.count, matrix.rows)
      for tiles in device.plan.tiles { try product.launch(tiles, of: device, gathers: false, x: device.input.buffer!, y: projected) }
      try device.download(device.outputs, into: outputs)
    }
  }
}
#endif
