// A thread that asks the loader or one driver, each call within a deadline.

#if OpenCL
import CMoEOpenCL
import MoEPlacement

/// Once a call has not come back, everything else that is asked of the thread fails at once with the same error.
struct CallingThread: Sendable {
  private let thread: DriverThread
  private static let deadline = Duration.seconds(10)

  init() throws(OpenCLError) { thread = try DriverThread() }

  /// Runs `body` on the thread.
  ///
  /// - Throws: what `body` does; the call that does not return, with `CL_RUNNING`.
  func run<Value>(_ body: @escaping () throws(OpenCLError) -> Value) throws(OpenCLError) -> Value {
    if let value = try thread.finish(thread.start(body)) { return value }
    throw OpenCLError(call: thread.stuckIn, status: CL_RUNNING, detail: "the call does not return; the thread that made it is given up")
  }

  /// Makes a call; on the thread.
  func check(_ call: String, _ make: () -> cl_int) throws(OpenCLError) {
    let status = thread.making(call, within: Self.deadline, make)
    guard status == CL_SUCCESS else { throw OpenCLError(call: call, status: status) }
  }
}
#endif
