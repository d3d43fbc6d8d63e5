// A compute device as a value: what placement needs to know of it, without the interface that found it.

/// An OpenCL device, described. `MoEOpenCL` produces the values; planning only reads them.
public struct ComputeDevice: Sendable, Hashable, CustomStringConvertible {
  /// What the device is.
  public enum Kind: String, Sendable, Hashable { case cpu, gpu, accelerator }

  /// CPU, GPU or accelerator.
  public let kind: Kind
  /// Name as the driver has it.
  public let name: String
  /// Vendor as the driver has it.
  public let vendor: String
  /// Version of the driver, as it has it.
  public let driverVersion: String
  /// Bytes of device memory.
  public let memoryBytes: Int
  /// Bytes of the largest single allocation.
  public let maxAllocationBytes: Int
  /// Parallel units, as the driver counts them.
  public let computeUnits: Int
  /// True when host and device read the same memory: integrated GPUs, and every device on the CPU.
  public let sharesMemoryWithHost: Bool
  /// Names of the extensions that the driver has for the device, such as "cl_khr_fp16".
  public let extensions: Set<String>
  /// "0000:3b:00.0", or nil when the driver does not tell.
  public let pciBusID: String?
  /// Position of the device's platform in the driver loader's list.
  public let platformIndex: Int
  /// Position of the device in its platform's list.
  public let deviceIndex: Int

  /// A device from its properties.
  public init(
    kind: Kind, name: String, vendor: String, driverVersion: String, memoryBytes: Int, maxAllocationBytes: Int, computeUnits: Int,
    sharesMemoryWithHost: Bool, extensions: Set<String> = [], pciBusID: String?, platformIndex: Int, deviceIndex: Int
  ) {
    self.kind = kind
    self.name = name
    self.vendor = vendor
    self.driverVersion = driverVersion
    self.memoryBytes = memoryBytes
    self.maxAllocationBytes = maxAllocationBytes
    self.computeUnits = computeUnits
    self.sharesMemoryWithHost = sharesMemoryWithHost
    self.extensions = extensions
    self.pciBusID = pciBusID
    self.platformIndex = platformIndex
    self.deviceIndex = deviceIndex
  }

  /// One line for a report.
  public var description: String {
    "\(kind.rawValue) \(name) (\(vendor), driver \(driverVersion)), \(computeUnits) compute units, \(memoryBytes >> 20) MiB"
      + (sharesMemoryWithHost ? " shared with the host" : "") + (pciBusID.map { ", PCI \($0)" } ?? "")
  }
}
