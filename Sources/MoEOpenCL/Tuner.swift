// Finds the sizes that products run fastest with on a device; whatever it times has passed its test.

#if OpenCL
import CMoEKernels
import MoEDispatch
import MoEPlacement
import MoETensors

/// What came out of trying sizes for one method.
package struct Tuning: Sendable {
  /// One candidate: its sizes, and the median and the spread of its times, or why it was not timed.
  package struct Trial: Sendable {
    package let sizes: [Int]
    package var milliseconds: Double?, spread = 0.0, failure: String?
  }
  package let method: String
  /// The default first.
  package let trials: [Trial]
  /// The sizes that are used from now on; nil for the default's.
  package let kept: [Int]?
}

/// Times a gated product of f32 weights, 512 rows of 1024 columns on 1024 tokens, by shapes that take turns.
struct Tuner {
  private let rows = 512, columns = 1024, tokens = 1024
  private let context: OpenCLContext

  init(_ context: OpenCLContext) { self.context = context }

  /// Tries the candidates of the best method for about `seconds`; on the device's thread. A winner is kept when it beats the default by more than the
  /// spread of both.
  func tune(seconds: Double) throws(OpenCLError) -> (tuning: Tuning, shape: TileShape?) {
    let start = ContinuousClock.now, method = context.methods[0], standard = TileShape(method, of: context.device, localBytes: context.localBytes)
    func left(_ share: Double) -> Bool { (ContinuousClock.now - start) / .seconds(1) < seconds * share }
    let shapes = [standard] + TileShape.candidates(method, localBytes: context.localBytes).filter { $0 != standard }
    var trials = shapes.map { Tuning.Trial(sizes: $0.sizes) }, products: [Int: DeviceProduct] = [:]
    let matrices = (0..<2).map { matrix($0) }, pass = DevicePass(context)
    for (index, shape) in shapes.enumerated() {
      // Half of the time for compiling and testing.
      guard index == 0 || left(0.5) else {
        trials[index].failure = "no time left"
        continue
      }
      do throws(OpenCLError) { products[index] = try tested(shape, matrices) } catch {
        guard !context.isLost, index > 0 else { throw error }
        trials[index].failure = "\(error)"
      }
    }
    try pass.input.room(4 * tokens * columns, in: context).write([Float](repeating: 0.5, count: tokens * columns))
    var times: [Int: [Double]] = [:], round = 0
    while round < 3 || left(1) {
      for (index, product) in products.sorted(by: { $0.key < $1.key }) {
        let time = try milliseconds(of: product, pass)
        // The first round warms up.
        if round > 0 { times[index, default: []].append(time) }
      }
      round += 1
    }
    for (index, times) in times {
      let sorted = times.sorted(), median = sorted[sorted.count / 2]
      trials[index].milliseconds = median
      trials[index].spread = (sorted[sorted.count * 3 / 4] - sorted[sorted.count / 4]) / median
    }
    let best = trials.indices.filter { trials[$0].milliseconds != nil }.min { trials[$0].milliseconds! < trials[$1].milliseconds! }!
    let noise = max(0.02, trials[0].spread + trials[best].spread)
    let wins = trials[best].milliseconds! * (1 + noise) < trials[0].milliseconds!
    return (Tuning(method: method.rawValue, trials: trials, kept: wins ? trials[best].sizes : nil), wins ? shapes[best] : nil)
  }

  private func tested(_ shape: TileShape, _ matrices: [HostMatrix]) throws(OpenCLError) -> DeviceProduct {
    let program = try DeviceProgram(.f32, shape, on: context, cache: context.options.programs)
    try SelfTest(.f32).run(program, on: context)
    return try DeviceProduct(
      up: matrices[0], gate: matrices[1], ProductRole(activation: moe_expert_activation(kind: MOE_SILU, limit: .infinity, alpha: 1)),
      by: (.f32, program), in: context)
  }

  private func milliseconds(of product: DeviceProduct, _ pass: DevicePass) throws(OpenCLError) -> Double {
    let plan = DispatchPlan(everyToken: .init(repeating: 1, count: tokens))
    try pass.upload(plan, parts: CollectionOfOne(product.experts), product.shape)
    let target = try pass.room(pass.outputs, tokens, rows), start = ContinuousClock.now
    for tiles in pass.plan.tiles { try product.launch(tiles, of: pass, gathers: true, x: pass.input.buffer!, y: target) }
    try pass.finish()
    return (ContinuousClock.now - start) / .milliseconds(1)
  }

  private func matrix(_ number: Int) -> HostMatrix {
    let buffer = AlignedBuffer(byteCount: 4 * rows * columns), values = buffer.bytes.bindMemory(to: Float.self)
    for index in values.indices { values[index] = Float((index * 7 + number) % 255 - 127) / 128 }
    var matrix = moe_matrix()
    (matrix.format, matrix.rows, matrix.columns) = (WeightFormat.f32.index, Int64(rows), Int64(columns))
    (matrix.row_bytes, matrix.data, matrix.group_rows, matrix.global_scale) = (Int64(4 * columns), UnsafeRawPointer(values.baseAddress!), 1, 1)
    return HostMatrix(matrix, owner: buffer)
  }
}
#endif
