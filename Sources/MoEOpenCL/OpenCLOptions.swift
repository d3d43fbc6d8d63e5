// What a caller may choose about OpenCL devices.

/// Bounds and files of the OpenCL devices of one machine.
public struct OpenCLOptions: Sendable {
  /// Bytes that layers and workspaces may take of each device's memory; nil for nine tenths of it. Weights that lie in memory shared with the
  /// host take none.
  public var memoryLimit: Int?
  /// How long one launch, or one call into the driver, may take; the device counts as lost after that. Products are cut into launches of about
  /// 50 ms.
  public var deadline: Duration
  /// The same for compiling one program, and for the first launch of a kernel, when some drivers compile it.
  public var buildDeadline: Duration
  /// False to treat memory that a device shares with the host as its own: weights are copied, and everything goes through staging buffers.
  public var usesHostMemory: Bool
  /// Bytes of each of two staging buffers that bytes go through to and from a device's own memory.
  public var stagingBytes: Int
  /// Whether devices route tokens where their kernels can: see docs/opencl.md; nil for those that have memory of their own.
  public var routes: Bool?
  /// Where compiled programs are kept; nil to compile them in every process.
  public var programs: ProgramCache?

  /// False to compute products on CPUs by the kernels for GPUs.
  package var usesPanels = true
  /// The one variant of tiles for activations of its precision; nil for the best that a device gets right.
  package var roundedProducts: RoundedProducts?

  /// Options; by default nine tenths of the memory, 10 seconds, a minute, shared memory where there is some, 8 MiB, routing on devices with
  /// memory of their own, the user's program cache.
  public init(
    memoryLimit: Int? = nil, deadline: Duration = .seconds(10), buildDeadline: Duration = .seconds(60), usesHostMemory: Bool = true,
    stagingBytes: Int = 8 << 20, routes: Bool? = nil, programs: ProgramCache? = .user
  ) {
    self.memoryLimit = memoryLimit
    self.deadline = deadline
    self.buildDeadline = buildDeadline
    self.usesHostMemory = usesHostMemory
    self.stagingBytes = stagingBytes
    self.routes = routes
    self.programs = programs
  }
}
