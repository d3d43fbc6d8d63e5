// The backend protocol: what a device has to compute of a layer's experts.

package import MoEDispatch
package import MoEExperts
package import MoETensors

/// Where the products of experts and rows are computed.
///
/// Rows of a plan are sorted by expert; a row's result depends on nothing but the row and its expert.
package protocol GroupedGEMMBackend: Sendable {
  /// The device, as kernbench names it: "cpu", "blas".
  var name: String { get }

  /// True when some product of these experts is computed on int8 activations.
  func usesInt8(_ bank: ExpertBank) -> Bool

  /// activated[row] = act(gate x) * up x for the token x of every row of the plan; [plan.rows, intermediate].
  func gateUp(_ bank: ExpertBank, _ plan: DispatchPlan, _ hidden: FloatRows, into activated: FloatRows)

  /// outputs[row] = down activated[row] (+ bias); [plan.rows, hidden].
  func down(_ bank: ExpertBank, _ plan: DispatchPlan, _ activated: FloatRows, into outputs: FloatRows)

  /// outputs = matrix x for every row: dense projections around the experts.
  func project(_ matrix: PackedMatrix, _ input: FloatRows, into outputs: FloatRows)

  /// output[token] = sum over its rows, in order of rank, of coefficient * outputs[row], plus identity experts' share of `hidden`.
  func combine(_ bank: ExpertBank, _ plan: DispatchPlan, _ outputs: FloatRows, hidden: FloatRows, into output: FloatRows, adding: Bool)

  /// Runs `body` for every index below `count`, in parallel where the device's host can.
  func forEach(_ count: Int, _ body: (Int) -> Void)
}
