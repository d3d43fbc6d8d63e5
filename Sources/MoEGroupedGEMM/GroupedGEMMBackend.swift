// The backend protocol: what a device has to compute of a layer's experts.

package import MoEDispatch
package import MoEExperts
package import MoETensors

/// Where the products of experts and rows are computed.
///
/// Rows of a plan are sorted by expert; a row's result depends on nothing but the row and its expert. Routed experts and the shared
/// one are computed together, as one list of tasks.
package protocol GroupedGEMMBackend: Sendable {
  /// The device, as kernbench names it: "cpu", "blas".
  var name: String { get }

  /// True when some product of these experts is computed on int8 activations.
  func usesInt8(_ bank: ExpertBank) -> Bool

  /// activated[row] = act(gate x) * up x for the token x of every row of each plan.
  ///
  /// - Parameter feedsDown: true when `down` follows with the same memory: the backend may keep the rows there in a form of its own.
  func gateUp(_ routed: ExpertPass, _ shared: ExpertPass?, _ memory: StageMemory, feedsDown: Bool)

  /// outputs[row] = down activated[row] (+ bias).
  ///
  /// - Parameter followsGateUp: true when `gateUp` came before and fed it; false when the rows are in `activated`.
  func down(_ routed: ExpertPass, _ shared: ExpertPass?, _ memory: StageMemory, followsGateUp: Bool)

  /// outputs = matrix x for every row: dense projections around the experts.
  func project(_ matrix: PackedMatrix, _ input: FloatRows, into outputs: FloatRows, _ memory: StageMemory)

  /// output[token] = sum over its rows, in order of rank, of coefficient * outputs[row], plus identity experts' share of the input, plus
  /// the shared expert's row; added to what is there when `adding`.
  func combine(_ routed: ExpertPass, _ shared: ExpertPass?, into output: FloatRows, adding: Bool)
}

/// One bank's share of a call: its plan, and the rows before, between and after its two products.
package struct ExpertPass: Sendable {
  package let bank: ExpertBank
  package let plan: DispatchPlan
  /// [plan.tokenCount, bank.hidden].
  package let input: FloatRows
  /// [plan.rows, bank.intermediate].
  package let activated: FloatRows
  /// [plan.rows, bank.hidden].
  package let outputs: FloatRows

  package init(_ bank: ExpertBank, _ plan: DispatchPlan, input: FloatRows, activated: FloatRows, outputs: FloatRows) {
    self.bank = bank
    self.plan = plan
    self.input = input
    self.activated = activated
    self.outputs = outputs
  }
}
