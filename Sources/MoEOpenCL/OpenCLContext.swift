// One OpenCL device in use: its context and queue, how much of its memory is taken, and whether it is lost.

#if OpenCL
import CMoEOpenCL
package import MoEPlacement
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A device with its context; shared by every layer of a machine that computes on it.
///
/// Whatever tells that a device may be gone, or that nothing it holds can be trusted, marks it lost: each later call throws the error that did.
/// Nothing of a lost device is given back, since calls to do so may never return.
package final class OpenCLContext: @unchecked Sendable {
  package let device: ComputeDevice
  let handle: cl_device_id, platform: cl_platform_id, context: cl_context, queue: cl_command_queue
  let programs: DevicePrograms
  private let options: OpenCLOptions
  private let state = Mutex<(lost: OpenCLError?, taken: Int)>((nil, 0))

  /// - Parameter index: position among `OpenCL.discover().devices`.
  package init(device index: Int, _ options: OpenCLOptions) throws(OpenCLError) {
    (device, handle, platform) = try OpenCL.device(at: index)
    self.options = options
    programs = DevicePrograms(cache: options.programs)
    var handle: cl_device_id? = handle, status: cl_int = 0
    let context = clCreateContext(nil, 1, &handle, nil, nil, &status)
    guard let context, status == CL_SUCCESS else { throw OpenCLError(call: "clCreateContext", status: status, detail: device.name) }
    let queue = clCreateCommandQueueWithProperties(context, handle, nil, &status)
    guard let queue, status == CL_SUCCESS else {
      clReleaseContext(context)
      throw OpenCLError(call: "clCreateCommandQueueWithProperties", status: status, detail: device.name)
    }
    (self.context, self.queue) = (context, queue)
  }

  deinit {
    guard !isLost else {
      _ = Unmanaged.passRetained(programs)
      return
    }
    programs.release()
    clReleaseCommandQueue(queue)
    clReleaseContext(context)
  }

  package var isLost: Bool { state.withLock { $0.lost != nil } }

  /// Bytes of device memory that may be taken.
  var memoryLimit: Int { options.memoryLimit ?? device.memoryBytes / 10 * 9 }

  /// - Throws: the error that the device was lost with.
  func demandUse() throws(OpenCLError) {
    if let error = state.withLock({ $0.lost }) { throw error }
  }

  /// - Throws: `OpenCLError` unless `status` is success; statuses after which a device answers no more, or wrongly, make it lost.
  func check(_ call: String, _ status: cl_int, _ detail: @autoclosure () -> String = "") throws(OpenCLError) {
    guard status != CL_SUCCESS else { return }
    let error = OpenCLError(call: call, status: status, detail: detail())
    if Self.statusesOfLoss.contains(status) { lose(error) }
    throw error
  }

  /// CL_OUT_OF_RESOURCES, CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, CL_INVALID_COMMAND_QUEUE, and a number that one driver gives faults.
  private static let statusesOfLoss: Set<cl_int> = [-5, -14, -36, -9999]

  private func lose(_ error: OpenCLError) { state.withLock { if $0.lost == nil { $0.lost = error } } }

  /// Waits until the command of `event` has ended, and gives the event back.
  ///
  /// - Throws: `OpenCLError`: the command's own status where it failed, its state where it did not end within the deadline. Both make the
  ///   device lost.
  func wait(for event: cl_event) throws(OpenCLError) {
    try demandUse()
    let start = ContinuousClock.now
    var polls = 0
    while true {
      var state: cl_int = 0
      try check(
        "clGetEventInfo", clGetEventInfo(event, cl_event_info(CL_EVENT_COMMAND_EXECUTION_STATUS), MemoryLayout<cl_int>.size, &state, nil))
      if state == CL_COMPLETE { break }
      guard state > 0, ContinuousClock.now - start < options.deadline else {
        let detail = "\(device.name)" + (state > 0 ? ": no end within \(options.deadline)" : "")
        let error = OpenCLError(call: "clEnqueueNDRangeKernel", status: state, detail: detail)
        lose(error)
        throw error
      }
      polls += 1
      if polls < 32 { sched_yield() } else { usleep(polls < 1024 ? 20 : 1000) }
    }
    clReleaseEvent(event)
  }

  /// Takes `bytes` of the budget.
  ///
  /// - Throws: `OpenCLError` of `clCreateBuffer` with `CL_MEM_OBJECT_ALLOCATION_FAILURE`.
  func take(_ bytes: Int) throws(OpenCLError) {
    let limit = memoryLimit
    let before = state.withLock { state in
      let before = state.taken
      if bytes <= limit - before { state.taken += bytes }
      return before
    }
    guard bytes <= limit - before else {
      throw OpenCLError(
        call: "clCreateBuffer", status: CL_MEM_OBJECT_ALLOCATION_FAILURE, detail: "\(bytes) bytes beside \(before), of \(limit) on \(device.name)")
    }
  }

  func giveBack(_ bytes: Int) { state.withLock { $0.taken -= bytes } }
}
#endif
