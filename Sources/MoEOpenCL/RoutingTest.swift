// The test of the kernels that route, before their first use on a device.

#if OpenCL
import CMoEOpenCL
import MoEDispatch
import MoEPlacement
import MoERouting
import MoETensors

/// Random rows with many ties, one with NaN, through the device's router and plan, against the host's.
struct RoutingTest {
  private let hidden = 70, experts = 20, real = 18, tokens = 75

  /// - Throws: `OpenCLError` that names what differs.
  func run(_ program: DeviceProgram, on context: OpenCLContext) throws(OpenCLError) {
    var state: UInt32 = 1
    func random(_ count: Int) -> [Float] {
      (0..<count).map { _ in
        state = state &* 1_664_525 &+ 1_013_904_223
        return Float(Int(state >> 24) % 7 - 3)
      }
    }
    let configuration = RouterConfiguration(
      scores: experts, score: .softmax, selection: .topK(3), groups: .init(count: 4, kept: 3, score: .topTwoSum), norm: .init(), scale: 1.5)
    var rows = random(tokens * hidden)
    rows[5 * hidden] = .nan
    let output: RouterOutput, router: Router
    do {
      router = try Router(configuration, weight: random(experts * hidden), hidden: hidden, choiceBias: random(experts).map { $0 / 1024 })
      output = try router(rows)
    } catch { throw wrong("\(error)", context) }
    let pass = DevicePass(context), device = try DeviceRouter(router, program, in: context)
    try pass.input.room(4 * rows.count, in: context).write(rows)
    try device.choose(pass, tokens: tokens)
    try device.plan(pass, tokens: tokens, parts: [0..<7, 7..<real])
    try pass.finish()
    var choices = [Int32](repeating: 0, count: tokens * 7), found = RouterOutput()
    try pass.choices.buffer!.read(into: &choices)
    choices.withUnsafeMutableBufferPointer { found.refill(experts: experts, tokens: tokens, most: 3, from: $0.baseAddress!) }
    guard found.expertIDs == output.expertIDs, found.nonFiniteTokens == output.nonFiniteTokens,
      zip(found.weights, output.weights).allSatisfy({ $0 == $1 || ($0.isNaN && $1.isNaN) || abs($0 - $1) <= 1e-5 * abs($1) })
    else { throw wrong("the choices differ", context) }
    let plan = DispatchPlan(found, experts: real), at = pass.plan.places
    var lists = [Int32](repeating: 0, count: pass.plan.byteCount / 4)
    try pass.lists.buffer!.read(into: &lists)
    func holds(_ place: Int, _ values: [Int32]) -> Bool { lists[place..<place + values.count].elementsEqual(values) }
    guard holds(at.tokens, plan.tokens), holds(at.rowOf, plan.rowOf.map(Int32.init)), holds(at.rowOffsets, plan.rowOffsets.map(Int32.init)) else {
      throw wrong("the plans differ", context)
    }
  }

  private func wrong(_ what: String, _ context: OpenCLContext) -> OpenCLError {
    OpenCLError(call: "route", status: CL_SUCCESS, detail: "self-test of routing on \(context.device.name): \(what); the host routes")
  }
}
#endif
