// The backend protocol: what a device has to compute of a layer's experts.

package import MoEDispatch
package import MoEExperts
package import MoEPlacement
package import MoETensors

/// Where the products of experts and rows are computed.
///
/// Rows of a plan are sorted by expert; a row's result depends on nothing but the row and its expert. Routed experts and the shared
/// one are computed together, as one list of tasks. Only what is computed on a device throws.
package protocol GroupedGEMMBackend: Sendable {
  /// The device, as kernbench names it: "cpu", "blas", "opencl:0".
  var name: String { get }

  /// What activations are rounded to for some product of these experts; `float` where they are for none.
  func precision(of bank: ExpertBank) -> ActivationPrecision

  /// activated[row] = act(gate x) * up x for the token x of every row of each plan.
  ///
  /// - Parameter feedsDown: true when `downCombined` follows with the same memory: the backend may keep the rows there in a form of its own.
  func gateUp(_ routed: ExpertPass, _ shared: ExpertPass?, _ memory: StageMemory, feedsDown: Bool) throws(OpenCLError)

  /// output[token] = sum over its rows, in order of expert, of coefficient * (down activated[row] (+ bias)), plus identity experts' share of the
  /// input, plus the shared expert's row; added to what is there when `adding`. Follows `gateUp`, which fed it.
  func downCombined(_ routed: ExpertPass, _ shared: ExpertPass?, into output: FloatRows, adding: Bool, _ memory: StageMemory) throws(OpenCLError)

  /// outputs[row] = down activated[row] (+ bias), alone.
  func down(_ pass: ExpertPass, into outputs: FloatRows, _ memory: StageMemory) throws(OpenCLError)

  /// output[token] = sum over its rows of `outputs`, in the order and with the bits of `downCombined`, alone; added to what is there when `adding`.
  func combine(_ pass: ExpertPass, _ outputs: FloatRows, into output: FloatRows, adding: Bool) throws(OpenCLError)

  /// outputs = matrix x for every row: dense projections around the experts.
  func project(_ matrix: PackedMatrix, _ input: FloatRows, into outputs: FloatRows, _ memory: StageMemory) throws(OpenCLError)
}

/// A backend that routes too.
package protocol RoutingBackend: GroupedGEMMBackend {
  /// The most experts that a token gets where the device routes; nil where the host does.
  var mostRouted: Int? { get }

  /// Routes the input, plans and computes both passes, and writes what `downCombined` does to `output`. The plan of `routed` is not read.
  ///
  /// - Parameter choices: receives [tokens, mostRouted] ids, -1 behind the last of a token, as many f32 weights, and 1 for each token with NaN or +inf
  ///   among its logits.
  func routedCombined(
    _ routed: ExpertPass, _ shared: ExpertPass?, into output: FloatRows, choices: UnsafeMutablePointer<Int32>
  ) throws(OpenCLError)
}

/// One bank's share of a call: its plan, and the rows before and between its two products.
package struct ExpertPass: Sendable {
  package let bank: ExpertBank
  package let plan: DispatchPlan
  /// [plan.tokenCount, bank.hidden].
  package let input: FloatRows
  /// [plan.rows, bank.intermediate].
  package let activated: FloatRows
  package let memory: PassMemory

  package init(_ bank: ExpertBank, _ plan: DispatchPlan, input: FloatRows, activated: FloatRows, in memory: PassMemory) {
    self.bank = bank
    self.plan = plan
    self.input = input
    self.activated = activated
    self.memory = memory
  }

  /// [plan.rows, bank.hidden], for a backend that combines after down.
  var outputs: FloatRows { FloatRows(count: plan.rows, columns: bank.hidden, in: memory.outputs) }
}
