// What one pass of a workspace keeps on a device: the lists of its plan, its rows, and what has been launched.

#if OpenCL
import CMoEOpenCL
import MoEDispatch
import MoEGroupedGEMM
import MoEPlacement
import MoETensors

/// Buffers of one bank's stages on one device; they grow to what calls need. Used by the one call that claimed the workspace.
final class DevicePass: @unchecked Sendable {
  let context: OpenCLContext
  let lists = GrowableDeviceBuffer(), input = GrowableDeviceBuffer(), activated = GrowableDeviceBuffer(), outputs = GrowableDeviceBuffer()
  let result = GrowableDeviceBuffer(), arranged = GrowableDeviceBuffer()
  let logits = GrowableDeviceBuffer(), choices = GrowableDeviceBuffer(), counts = GrowableDeviceBuffer()
  private(set) var plan = DevicePlan()
  private var launched: [cl_event] = []

  init(_ context: OpenCLContext) { self.context = context }

  /// What `memory` keeps for a device; new where it kept another device's.
  static func of(_ memory: PassMemory, _ context: OpenCLContext) -> DevicePass {
    if let held = memory.device as? DevicePass, held.context === context { return held }
    let made = DevicePass(context)
    memory.device = made
    return made
  }

  /// Uploads the lists of a plan; `parts` are the experts of each part of the bank.
  func upload(_ plan: DispatchPlan, parts: some Collection<PartExperts>, _ shape: TileShape) throws(OpenCLError) {
    self.plan.cut(plan, parts: parts, shape)
    try self.plan.upload(plan, parts: parts, shape, to: lists, in: context)
  }

  /// Makes room for the lists of a plan that the device makes.
  func expect(tokens: Int, most: Int, hasIdentity: Bool, parts: some Collection<Range<Int>>, _ shape: TileShape) throws(OpenCLError) {
    plan.bound(tokens: tokens, most: most, hasIdentity: hasIdentity, parts: parts, shape)
    try lists.room(plan.byteCount, in: context)
  }

  /// Uploads rows one after another.
  func upload(_ rows: FloatRows, to target: GrowableDeviceBuffer) throws(OpenCLError) {
    let width = rows.columns * MemoryLayout<Float>.size
    try room(target, rows.count, rows.columns).write(rows.count, of: width) { $0.copyMemory(from: rows.row($1), byteCount: width) }
  }

  /// Brings rows back once all launches have ended.
  func download(_ source: GrowableDeviceBuffer, into rows: FloatRows) throws(OpenCLError) {
    try finish()
    let width = rows.columns * MemoryLayout<Float>.size
    try room(source, rows.count, rows.columns).read(rows.count, of: width) {
      UnsafeMutableRawPointer(rows.row($1)).copyMemory(from: $0, byteCount: width)
    }
  }

  /// Room for rows of f32.
  @discardableResult
  func room(_ buffer: GrowableDeviceBuffer, _ rows: Int, _ columns: Int) throws(OpenCLError) -> DeviceBuffer {
    try buffer.room(rows * columns * MemoryLayout<Float>.size, in: context)
  }

  /// Notes a launch, to be waited for.
  func note(_ event: cl_event) { launched.append(event) }

  /// Waits for every launch, each within the deadline.
  func finish() throws(OpenCLError) {
    defer { launched.removeAll(keepingCapacity: true) }
    guard !launched.isEmpty else { return }
    try context.check("clFlush", clFlush(context.queue))
    for event in launched { try context.wait(for: event) }
  }
}
#endif
