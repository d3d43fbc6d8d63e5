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
/// Nothing of a lost device is given back, since calls to do so may never return. Its calls are made by a thread of its own: see `run`.
package final class OpenCLContext: @unchecked Sendable {
  package let device: ComputeDevice
  let handle: cl_device_id, platform: cl_platform_id, context: cl_context, queue: cl_command_queue
  let programs: DevicePrograms
  /// Bytes of local memory of a work-group.
  let localBytes: Int
  /// How products may be computed, the best first.
  let methods: [ProductMethod]
  /// On the device's thread.
  var staging = Staging()
  /// Where experts lie.
  let experts = PartedBuffers()
  let options: OpenCLOptions
  private let thread: DriverThread
  private let state = Mutex<(lost: OpenCLError?, taken: Int)>((nil, 0))

  /// - Parameter index: position among `OpenCL.discover().devices`.
  package init(device index: Int, _ options: OpenCLOptions) throws(OpenCLError) {
    let found = try OpenCL.device(at: index)
    (device, handle, platform, localBytes) = (found.device, found.handle, found.platform, found.localBytes)
    self.options = options
    methods = ProductMethod.suiting(device, options)
    let tuned = options.programs?.tunedShapes(of: device, localBytes: localBytes) ?? [:], device = device, localBytes = localBytes
    programs = DevicePrograms(
      methods.flatMap { [tuned[$0], TileShape($0, of: device, localBytes: localBytes)].compactMap { $0 } }, cache: options.programs)
    let thread = try DriverThread()
    do throws(OpenCLError) {
      guard let opened = try Self.opened(handle, device.name, on: thread, within: options.deadline) else { throw Self.stuck(thread, device) }
      (context, queue) = opened
    } catch {
      thread.end()
      throw error
    }
    self.thread = thread
  }

  /// A context and a queue; nil when a call does not return.
  private static func opened(
    _ handle: cl_device_id, _ name: String, on thread: DriverThread, within deadline: Duration
  ) throws(OpenCLError) -> (cl_context, cl_command_queue)? {
    let work = try thread.start { () throws(OpenCLError) in
      var device: cl_device_id? = handle, status: cl_int = 0
      let context = thread.making("clCreateContext", within: deadline) { clCreateContext(nil, 1, &device, nil, nil, &status) }
      guard let context, status == CL_SUCCESS else { throw OpenCLError(call: "clCreateContext", status: status, detail: name) }
      let queue = thread.making("clCreateCommandQueueWithProperties", within: deadline) {
        clCreateCommandQueueWithProperties(context, handle, nil, &status)
      }
      guard let queue, status == CL_SUCCESS else {
        thread.making("clReleaseContext", within: deadline) { _ = clReleaseContext(context) }
        throw OpenCLError(call: "clCreateCommandQueueWithProperties", status: status, detail: name)
      }
      return (context, queue)
    }
    return try thread.finish(work)
  }

  deinit {
    defer { thread.end() }
    guard !isLost else {
      _ = Unmanaged.passRetained(programs)
      return
    }
    let (thread, programs, staging, queue, context, deadline) = (thread, programs, staging, queue, context, options.deadline)
    func release() {
      thread.making("clReleaseContext", within: deadline) {
        programs.release()
        staging.release()
        clReleaseCommandQueue(queue)
        clReleaseContext(context)
      }
    }
    // Waited for, at most as long as the deadline: the process may be about to end.
    if thread.isServing { release() } else { _ = try? thread.finish(thread.start { () throws(OpenCLError) in release() }) }
  }

  /// Has the device's thread make a call that gives something back: at once where it is that thread that asks, and else after its work before; nobody
  /// waits for it. Nothing of a lost device is given back.
  ///
  /// - Parameter owner: stays with a lost device.
  func release(_ call: String, of owner: AnyObject? = nil, _ body: @escaping () -> Void) {
    func release() {
      if isLost { _ = owner.map(Unmanaged.passRetained) } else { thread.making(call, within: options.deadline, body) }
    }
    if thread.isServing { release() } else { _ = try? thread.start { () throws(OpenCLError) in release() } }
  }

  /// Runs `body` on the thread of the device, one caller after the other.
  ///
  /// - Throws: as `start` and `finish`.
  func run<Value>(_ body: @escaping () throws(OpenCLError) -> Value) throws(OpenCLError) -> Value { try finish(try start(body)) }

  /// Hands `body` to the thread of the device, to run after earlier work; `finish` has to follow.
  ///
  /// - Throws: the error that the device was lost with.
  func start<Value>(_ body: @escaping () throws(OpenCLError) -> Value) throws(OpenCLError) -> DriverWork<Value> {
    try demandUse()
    return try thread.start(body)
  }

  /// Does the work of others that came meanwhile; inside long work, on the thread of the device.
  func letOthersIn() { thread.letOthersIn() }

  /// Waits for work that was started.
  ///
  /// - Throws: what its body did, or when a call into the driver did not return, the error that the device was lost with.
  func finish<Value>(_ work: DriverWork<Value>) throws(OpenCLError) -> Value {
    if let value = try thread.finish(work) { return value }
    lose(Self.stuck(thread, device))
    throw state.withLock { $0.lost! }
  }

  private static func stuck(_ thread: DriverThread, _ device: ComputeDevice) -> OpenCLError {
    OpenCLError(
      call: thread.stuckIn, status: CL_RUNNING, detail: "\(device.name): the call does not return; the thread that made it is given up")
  }

  package var isLost: Bool { state.withLock { $0.lost != nil } }

  /// A line for each variant that the driver gets wrong, and one when the device is lost.
  var notes: [String] { programs.notes + [state.withLock { $0.lost }].compactMap { $0.map { "\(device.name) is lost: \($0)" } } }

  /// True when buffers are the host's memory too.
  var usesHostMemory: Bool { device.sharesMemoryWithHost && options.usesHostMemory }
  var stagingBytes: Int { options.stagingBytes }

  /// Bytes of device memory that may be taken.
  var memoryLimit: Int { options.memoryLimit ?? device.memoryBytes / 10 * 9 }

  /// - Throws: the error that the device was lost with.
  func demandUse() throws(OpenCLError) {
    if let error = state.withLock({ $0.lost }) { throw error }
  }

  /// Makes a call into the driver.
  ///
  /// - Parameter compiles: true for one that may compile, which has the deadline of builds and not that of calls.
  /// - Throws: `OpenCLError` unless it returns success; statuses after which a device answers no more, or wrongly, make it lost.
  func check(
    _ call: String, _ make: @autoclosure () -> cl_int, _ detail: @autoclosure () -> String = "", compiles: Bool = false
  ) throws(OpenCLError) {
    let status = thread.making(call, within: compiles ? options.buildDeadline : options.deadline, make)
    guard status != CL_SUCCESS else { return }
    let error = OpenCLError(call: call, status: status, detail: detail())
    if Self.statusesOfLoss.contains(status) { lose(error) }
    throw error
  }

  /// What the driver tells of the device; on the device's thread.
  var info: DeviceInfo { DeviceInfo(handle) { (call, make) throws(OpenCLError) in try self.check(call, make()) } }

  /// Makes a call that returns what it made, and its status beside.
  func make<Handle>(
    _ call: String, _ detail: @autoclosure () -> String = "", _ body: (inout cl_int) -> Handle?
  ) throws(OpenCLError) -> Handle {
    var made: Handle?
    try check(call, { var status: cl_int = 0; made = body(&status); return status }(), detail())
    guard let made else { throw OpenCLError(call: call, status: CL_SUCCESS, detail: "made nothing: \(detail())") }
    return made
  }

  /// Compiles a program.
  ///
  /// - Returns: the status.
  func build(_ program: cl_program, _ options: String) -> cl_int {
    var handle: cl_device_id? = handle
    return thread.making("clBuildProgram", within: self.options.buildDeadline) { clBuildProgram(program, 1, &handle, options, nil, nil) }
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
    _ = thread.making("clReleaseEvent", within: options.deadline) { clReleaseEvent(event) }
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
