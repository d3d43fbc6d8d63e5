// Finds the OpenCL devices of every platform the ICD loader knows.

#if OpenCL
import CMoEOpenCL
#endif
public import MoEPlacement

/// The OpenCL devices of this machine.
public enum OpenCL {
  /// Devices found, and what could not be asked.
  public struct Discovery: Sendable {
    /// In the order of the platforms and of their devices.
    public var devices: [ComputeDevice] = []
    /// A line for each platform or device that failed, and one when the package was built without OpenCL.
    public var notes: [String] = []
  }

  /// The devices that can run kernels; an empty list without a platform.
  ///
  /// - Throws: `OpenCLError` when the loader itself fails. A platform or device that fails is left out: see `discover()`.
  public static func devices() throws(OpenCLError) -> [ComputeDevice] { try discover().devices }

  #if OpenCL
  /// The devices that can run kernels, and notes on those that cannot be used.
  public static func discover() throws(OpenCLError) -> Discovery {
    var discovery = Discovery()
    for (platformIndex, platform) in try platforms().enumerated() {
      do throws(OpenCLError) {
        for (deviceIndex, device) in try devices(of: platform).enumerated() {
          do throws(OpenCLError) {
            let found = try describe(device, platformIndex: platformIndex, deviceIndex: deviceIndex)
            if try flag(device, CL_DEVICE_AVAILABLE), try flag(device, CL_DEVICE_COMPILER_AVAILABLE) {
              discovery.devices.append(found)
            } else {
              discovery.notes.append("OpenCL device \(platformIndex):\(deviceIndex) (\(found.name)) is not available or has no compiler")
            }
          } catch {
            discovery.notes.append("OpenCL device \(platformIndex):\(deviceIndex): \(error)")
          }
        }
      } catch {
        discovery.notes.append("OpenCL platform \(platformIndex): \(error)")
      }
    }
    return discovery
  }

  /// The device at `index` of `discover().devices`, as the interface knows it.
  ///
  /// - Throws: `OpenCLError` of `clGetDeviceIDs` with `CL_DEVICE_NOT_FOUND` when there are fewer.
  static func device(at index: Int) throws(OpenCLError) -> (device: ComputeDevice, handle: cl_device_id, platform: cl_platform_id) {
    let found = try discover().devices
    guard found.indices.contains(index) else {
      throw OpenCLError(call: "clGetDeviceIDs", status: CL_DEVICE_NOT_FOUND, detail: "device \(index) of \(found.count)")
    }
    let platform = try platforms()[found[index].platformIndex]
    return (found[index], try devices(of: platform)[found[index].deviceIndex], platform)
  }

  /// The loader's platforms; the list order gives `ComputeDevice.platformIndex`.
  static func platforms() throws(OpenCLError) -> [cl_platform_id] {
    _ = areSetUp
    return try listPlatforms()
  }

  /// Loader and drivers set themselves up in their first calls, and not all of them bear two threads doing that: one goes first.
  private static let areSetUp: Void = {
    for platform in (try? listPlatforms()) ?? [] {
      for device in (try? devices(of: platform)) ?? [] { _ = try? text(device, CL_DEVICE_NAME) }
    }
  }()

  private static func listPlatforms() throws(OpenCLError) -> [cl_platform_id] {
    var count: cl_uint = 0
    let status = clGetPlatformIDs(0, nil, &count)
    // CL_PLATFORM_NOT_FOUND_KHR: a loader without a single driver.
    if status == -1001 || (status == CL_SUCCESS && count == 0) { return [] }
    try check("clGetPlatformIDs", status)
    var platforms = [cl_platform_id?](repeating: nil, count: Int(count))
    try check("clGetPlatformIDs", clGetPlatformIDs(count, &platforms, nil))
    return platforms.compactMap { $0 }
  }

  /// A platform's devices; the list order gives `ComputeDevice.deviceIndex`.
  static func devices(of platform: cl_platform_id) throws(OpenCLError) -> [cl_device_id] {
    let all: cl_device_type = 0xFFFF_FFFF
    var count: cl_uint = 0
    let status = clGetDeviceIDs(platform, all, 0, nil, &count)
    if status == CL_DEVICE_NOT_FOUND || (status == CL_SUCCESS && count == 0) { return [] }
    try check("clGetDeviceIDs", status)
    var devices = [cl_device_id?](repeating: nil, count: Int(count))
    try check("clGetDeviceIDs", clGetDeviceIDs(platform, all, count, &devices, nil))
    return devices.compactMap { $0 }
  }

  private static func describe(_ device: cl_device_id, platformIndex: Int, deviceIndex: Int) throws(OpenCLError) -> ComputeDevice {
    let type = try number(device, CL_DEVICE_TYPE, as: cl_device_type.self)
    let kind: ComputeDevice.Kind = type & 1 << 1 != 0 ? .cpu : type & 1 << 2 != 0 ? .gpu : .accelerator
    // Deprecated since 2.0 and still the only flag that tells an integrated GPU from a discrete one; absent means separate memory.
    let unified = (try? flag(device, CL_DEVICE_HOST_UNIFIED_MEMORY)) ?? false
    return ComputeDevice(
      kind: kind,
      name: try text(device, CL_DEVICE_NAME),
      vendor: try text(device, CL_DEVICE_VENDOR),
      driverVersion: try text(device, CL_DRIVER_VERSION),
      memoryBytes: Int(clamping: try number(device, CL_DEVICE_GLOBAL_MEM_SIZE, as: cl_ulong.self)),
      maxAllocationBytes: Int(clamping: try number(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, as: cl_ulong.self)),
      computeUnits: Int(try number(device, CL_DEVICE_MAX_COMPUTE_UNITS, as: cl_uint.self)),
      sharesMemoryWithHost: kind == .cpu || unified,
      pciBusID: try pciBusID(device),
      platformIndex: platformIndex,
      deviceIndex: deviceIndex)
  }

  /// The device's PCI address as the extension, NVIDIA or AMD tells it.
  private static func pciBusID(_ device: cl_device_id) throws(OpenCLError) -> String? {
    let extensions = try text(device, CL_DEVICE_EXTENSIONS).split(separator: " ")
    // CL_DEVICE_PCI_BUS_INFO_KHR: domain, bus, device, function.
    if extensions.contains("cl_khr_pci_bus_info"), let bus = try? number(device, 0x410F, as: (UInt32, UInt32, UInt32, UInt32).self) {
      return pciBusID(domain: bus.0, bus: bus.1, device: bus.2, function: bus.3)
    }
    // CL_DEVICE_PCI_BUS_ID_NV, CL_DEVICE_PCI_SLOT_ID_NV (device and function) and, where the driver knows it, CL_DEVICE_PCI_DOMAIN_ID_NV.
    if extensions.contains("cl_nv_device_attribute_query"), let bus = try? number(device, 0x4008, as: UInt32.self),
      let slot = try? number(device, 0x4009, as: UInt32.self)
    {
      let domain = (try? number(device, 0x400A, as: UInt32.self)) ?? 0
      return pciBusID(domain: domain, bus: bus, device: slot >> 3 & 31, function: slot & 7)
    }
    // CL_DEVICE_TOPOLOGY_AMD: a type, 1 for PCI Express, 17 bytes that are not used, bus, device, function.
    if extensions.contains("cl_amd_device_attribute_query"),
      let topology = try? number(device, 0x4037, as: (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32).self), topology.0 == 1
    {
      return pciBusID(domain: 0, bus: topology.5 >> 8 & 255, device: topology.5 >> 16 & 255, function: topology.5 >> 24)
    }
    return nil
  }

  private static func pciBusID(domain: UInt32, bus: UInt32, device: UInt32, function: UInt32) -> String {
    return "\(hex(domain, 4)):\(hex(bus, 2)):\(hex(device, 2)).\(hex(function, 1))"
  }

  private static func flag(_ device: cl_device_id, _ parameter: Int32) throws(OpenCLError) -> Bool {
    try number(device, parameter, as: cl_bool.self) != 0
  }

  static func number<Value: BitwiseCopyable>(
    _ device: cl_device_id, _ parameter: Int32, as type: Value.Type
  ) throws(OpenCLError) -> Value {
    let value = UnsafeMutableRawPointer.allocate(byteCount: MemoryLayout<Value>.size, alignment: MemoryLayout<Value>.alignment)
    defer { value.deallocate() }
    let bytes = value.initializeMemory(as: UInt8.self, repeating: 0, count: MemoryLayout<Value>.size)
    try check("clGetDeviceInfo", clGetDeviceInfo(device, cl_device_info(parameter), MemoryLayout<Value>.size, bytes, nil))
    return value.load(as: Value.self)
  }

  static func text(_ device: cl_device_id, _ parameter: Int32) throws(OpenCLError) -> String {
    var size = 0
    try check("clGetDeviceInfo", clGetDeviceInfo(device, cl_device_info(parameter), 0, nil, &size))
    guard size > 0 else { return "" }
    var bytes = [UInt8](repeating: 0, count: size)
    try check("clGetDeviceInfo", clGetDeviceInfo(device, cl_device_info(parameter), size, &bytes, nil))
    let trimmed = bytes.prefix { $0 != 0 }.drop { $0 == UInt8(ascii: " ") }
    return String(decoding: trimmed, as: UTF8.self)
  }

  private static func check(_ call: String, _ status: cl_int) throws(OpenCLError) {
    guard status == CL_SUCCESS else { throw OpenCLError(call: call, status: status) }
  }
  #else
  /// No devices: the package was built without the trait `OpenCL`.
  public static func discover() throws(OpenCLError) -> Discovery {
    Discovery(notes: ["OpenCL: built without the trait OpenCL"])
  }
  #endif
}
