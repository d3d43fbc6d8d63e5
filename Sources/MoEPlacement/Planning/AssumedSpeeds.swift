// What is assumed of a machine where nothing is stated or measured.

/// Speeds that stand in where neither firmware nor a measurement tells; all of them are per second, or in seconds.
public struct AssumedSpeeds: Sendable, Hashable {
  /// Bytes a node reads of its own memory.
  public var nodeBandwidth = 100e9
  /// Part of the bandwidth that is left to another node's memory: 125 of 220 GB/s on the two-socket machine of KTransformers (SOSP 2025).
  public var remoteShare = 125.0 / 220
  /// Bandwidth of HBM over that of the DRAM beside it: 1 TB/s of the Xeon Max, as Intel states it, over eight channels of DDR5-4800.
  public var highBandwidthShare = 1000.0 / 307.2
  /// Bytes of a CXL memory expander: eight lanes of PCIe 5.0.
  public var expanderBandwidth = 32e9
  /// Bytes read of a socket's non-volatile memory: six Optane modules (Izraelevitz et al., 2019).
  public var persistentBandwidth = 39.4e9
  /// Multiply-adds of one core.
  public var coreProducts = 100e9
  /// What it takes until all nodes of one machine know that a stage is done.
  public var nodeLatency = 2e-6
  /// Bytes between two machines, each way, shared by the nodes of a machine.
  public var machineLink = 25e9
  /// As `nodeLatency`, between machines.
  public var machineLatency = 10e-6
  /// Bytes a device reads of its memory.
  public var deviceBandwidth = 900e9
  /// Multiply-adds of a device.
  public var deviceProducts = 20e12
  /// Bytes between a device and its node.
  public var deviceLink = 32e9
  /// What it takes to have a device begin and to learn that it is done.
  public var deviceLatency = 20e-6

  /// The assumptions above.
  public init() {}

  func check() throws(PlacementError) {
    let rates = [
      nodeBandwidth, highBandwidthShare, expanderBandwidth, persistentBandwidth, coreProducts, machineLink, deviceBandwidth, deviceProducts,
      deviceLink, remoteShare,
    ]
    let times = [nodeLatency, machineLatency, deviceLatency]
    guard rates.allSatisfy({ $0 > 0 && $0.isFinite }), remoteShare <= 1, times.allSatisfy({ $0 >= 0 && $0.isFinite }) else { throw .speeds(self) }
  }
}
