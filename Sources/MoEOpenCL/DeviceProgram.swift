// One compiled variant: its kernels, and how they are launched.

#if OpenCL
import CMoEOpenCL
import MoEPlacement

/// The kernels of one variant. Arguments belong to a kernel: the device's thread alone sets them.
final class DeviceProgram: @unchecked Sendable {
  enum Kernel: String {
    case productTiles = "product_tiles"
    case productRows = "product_rows"
    case arrangeRows = "arrange_rows"
    case productPanels = "product_panels"
    case roundRows = "round_rows"
    case roundRowsBF16 = "round_rows_bf16"
    case productTilesInt8 = "product_tiles_int8"
    case productRowsInt8 = "product_rows_int8"
    case productRowsSubgroups = "product_rows_subgroups"
    case productPanelsInt8 = "product_panels_int8"
    case productTilesMatrices = "product_tiles_mma"
    case productRowsMatrices = "product_rows_mma"
    case productTilesMatricesInt8 = "product_tiles_mma_int8"
    case productRowsMatricesInt8 = "product_rows_mma_int8"
    case combine = "combine"
    case routerLogits = "router_logits"
    case route = "route"
    case countRows = "count_rows"
    case scanRows = "scan_rows"
    case cutTiles = "cut_tiles"
    case placeRows = "place_rows"
  }

  let shape: TileShape
  /// Nil where activations are f32.
  let products: RoundedProducts?
  private let program: cl_program
  private let kernels: [Kernel: cl_kernel]
  /// Nil once the context gives back what it has.
  private weak var context: OpenCLContext?
  /// Kernels that have been launched: some drivers compile them then. Used by the device's thread alone.
  private var launched: Set<Kernel> = []

  convenience init(_ variant: KernelVariant, _ shape: TileShape, on context: OpenCLContext, cache: ProgramCache?) throws(OpenCLError) {
    try self.init(
      ProgramBuild(variant, shape, on: context), shape, variant.products, shape.method.kernels(variant.products), on: context, cache: cache)
  }

  /// What routes tokens and cuts their plans for `shape`.
  convenience init(routingFor shape: TileShape, on context: OpenCLContext, cache: ProgramCache?) throws(OpenCLError) {
    try self.init(
      ProgramBuild(routingFor: shape, on: context), shape, nil,
      [.routerLogits, .route, .countRows, .scanRows, .cutTiles, .placeRows], on: context, cache: cache)
  }

  private init(
    _ build: ProgramBuild, _ shape: TileShape, _ products: RoundedProducts?, _ names: [Kernel], on context: OpenCLContext, cache: ProgramCache?
  ) throws(OpenCLError) {
    (self.shape, self.products) = (shape, products)
    let program = try build.program(cache)
    var kernels: [Kernel: cl_kernel] = [:]
    for kernel in names {
      kernels[kernel] = try context.make("clCreateKernel", "\(kernel.rawValue) of \(build.name)") { clCreateKernel(program, kernel.rawValue, &$0) }
    }
    (self.program, self.kernels, self.context) = (program, kernels, context)
  }

  deinit {
    let (program, kernels) = (program, kernels)
    func release(_ call: String, _ body: @escaping () -> Void) { if let context { context.release(call, body) } else { body() } }
    for kernel in kernels.values { release("clReleaseKernel") { clReleaseKernel(kernel) } }
    release("clReleaseProgram") { clReleaseProgram(program) }
  }

  /// Enqueues a kernel on [width, height] items in groups of [group, 1], from row `first` of the height on.
  ///
  /// - Parameter group: nil to leave it to the driver.
  /// - Returns: the event of the launch.
  func launch(
    _ kernel: Kernel, width: Int, first: Int = 0, height: Int, group: Int?, on context: OpenCLContext,
    _ set: (inout KernelArguments) throws(OpenCLError) -> Void
  ) throws(OpenCLError) -> cl_event {
    try context.demandUse()
    let handle = kernels[kernel]!
    var arguments = KernelArguments(handle, context)
    try set(&arguments)
    var event: cl_event?, offset = (0, first), global = (width, height), local = (group ?? 0, 1)
    func enqueued() -> cl_int {
      withUnsafeBytes(of: &offset) { offset in
        withUnsafeBytes(of: &global) { global in
          withUnsafeBytes(of: &local) { local in
            clEnqueueNDRangeKernel(
              context.queue, handle, 2, offset.baseAddress!.assumingMemoryBound(to: Int.self), global.baseAddress!.assumingMemoryBound(to: Int.self),
              group == nil ? nil : local.baseAddress!.assumingMemoryBound(to: Int.self), 0, nil, &event)
          }
        }
      }
    }
    let isFirst = launched.insert(kernel).inserted
    if isFirst, let group { try demand(group, of: kernel, handle, on: context) }
    try context.check("clEnqueueNDRangeKernel", enqueued(), "\(kernel.rawValue) on \(context.device.name)", compiles: isFirst)
    return event!
  }
}

extension DeviceProgram {
  /// - Throws: `OpenCLError` where a kernel takes so much of the device that groups of this size have no room: launches of them count as its loss.
  private func demand(_ group: Int, of kernel: Kernel, _ handle: cl_kernel, on context: OpenCLContext) throws(OpenCLError) {
    var most = 0
    let status = clGetKernelWorkGroupInfo(
      handle, context.handle, cl_kernel_work_group_info(CL_KERNEL_WORK_GROUP_SIZE), MemoryLayout<Int>.size, &most, nil)
    try context.check("clGetKernelWorkGroupInfo", status, kernel.rawValue)
    guard group <= most else {
      throw OpenCLError(
        call: "clGetKernelWorkGroupInfo", status: CL_INVALID_WORK_GROUP_SIZE,
        detail: "\(kernel.rawValue) on \(context.device.name): groups of \(group) items, at most \(most)")
    }
  }
}

/// Sets the arguments of a kernel, one after the other.
struct KernelArguments {
  private let kernel: cl_kernel
  private let context: OpenCLContext
  private var index: cl_uint = 0

  fileprivate init(_ kernel: cl_kernel, _ context: OpenCLContext) { (self.kernel, self.context) = (kernel, context) }

  mutating func add(_ buffer: DeviceBuffer) throws(OpenCLError) { try set(buffer.memory) }
  mutating func add(_ value: Int) throws(OpenCLError) { try set(Int32(value)) }
  mutating func add(_ value: Float) throws(OpenCLError) { try set(value) }
  mutating func add(_ value: Double) throws(OpenCLError) { try set(value) }

  private mutating func set<Value>(_ value: Value) throws(OpenCLError) {
    try context.check("clSetKernelArg", withUnsafeBytes(of: value) { clSetKernelArg(kernel, index, $0.count, $0.baseAddress) }, "argument \(index)")
    index += 1
  }
}
#endif
