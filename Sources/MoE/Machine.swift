// The machine a layer runs on: topology, threads, kernels, OpenCL devices.

public import MoEFamilies
public import MoEOpenCL
public import MoEPlacement
public import MoETensors

/// Topology, worker threads and kernels; shared by all layers that run on it.
public final class Machine: Sendable {
  /// Packages, NUMA nodes, cores, caches and the process's limits.
  public let topology: Topology
  /// The threads that the CPU backend shares its work among.
  public let pool: WorkerPool
  /// The kernels of one ISA.
  public let kernels: KernelTable
  /// The OpenCL devices that layers have used.
  let openCL: OpenCLContexts
  /// Workspaces of calls that brought none, for the next such call.
  private let idle = IdleWorkspaces()

  /// - Parameters:
  ///   - topology: what the machine is made of; its limits give the number of threads.
  ///   - threads: worker threads, the caller included; nil for all that the affinity mask and the CPU quota allow.
  ///   - pinned: whether each worker is kept on a CPU of its own; nil where the pool takes every CPU: see `WorkerPool`.
  ///   - kernels: kernels of one ISA; the best by default.
  ///   - openCL: bounds and files of OpenCL devices.
  /// - Throws: `MoEError.machine` for a number of threads that no pool can have.
  public init(
    topology: Topology, threads: Int? = nil, pinned: Bool? = nil, kernels: KernelTable = .best, openCL: OpenCLOptions = OpenCLOptions()
  ) throws(MoEError) {
    self.topology = topology
    self.kernels = kernels
    self.openCL = OpenCLContexts(openCL)
    do {
      pool = try WorkerPool(
        threads: threads ?? topology.usableThreads, pinned: pinned, limits: .current(), nodes: topology.nodes.map(\.processingUnits))
    } catch { throw .machine("\(error)") }
  }

  /// This machine, as hwloc sees it.
  ///
  /// - Throws: as the initialiser.
  public static func current(
    threads: Int? = nil, pinned: Bool? = nil, kernels: KernelTable = .best, openCL: OpenCLOptions = OpenCLOptions()
  ) throws(MoEError) -> Machine {
    try Machine(topology: .current(), threads: threads, pinned: pinned, kernels: kernels, openCL: openCL)
  }

  /// What the system refused and what stands in its place: threads, their binding to CPUs (both known after the first call), large pages;
  /// OpenCL kernels that a driver gets wrong.
  public var notes: [String] { pool.notes + [LargePages.obstacle()].compactMap { $0 } + openCL.notes }

  /// The OpenCL devices found through the ICD loader, and notes on platforms that failed.
  ///
  /// - Throws: `OpenCLError` when the loader itself fails.
  public func openCLDevices() throws(OpenCLError) -> OpenCL.Discovery { try OpenCL.discover() }

  #if OpenCL
    /// See `OpenCLContexts.tune`.
    package func tune(_ device: Int, seconds: Double) throws -> Tuning { try openCL.tune(device, seconds: seconds) }
  #endif

  /// Frees the workspaces kept for calls that bring none: one for each such call that ran at the same time as others.
  public func releaseWorkspaces() { idle.removeAll() }

  /// The workspace of one call: its own, or one that is idle.
  ///
  /// - Throws: `MoEError.workspaceInUse`.
  func claim(_ workspace: Workspace?) throws(MoEError) -> Workspace {
    let claimed = workspace ?? idle.take() ?? Workspace()
    try claimed.claim()
    return claimed
  }

  /// Ends what `claim` began; a workspace that the call did not bring waits for the next.
  func release(_ workspace: Workspace, isIdle: Bool) {
    workspace.release()
    if isIdle { idle.keep(workspace) }
  }
}
