// What a driver tells of one device.

#if OpenCL
import CMoEOpenCL
import MoEPlacement

/// Asks for the properties of a device; `check` makes the calls.
struct DeviceInfo {
  private let device: cl_device_id
  private let check: (_ call: String, _ make: () -> cl_int) throws(OpenCLError) -> Void

  init(_ device: cl_device_id, _ check: @escaping (_ call: String, _ make: () -> cl_int) throws(OpenCLError) -> Void) {
    (self.device, self.check) = (device, check)
  }

  func flag(_ parameter: Int32) throws(OpenCLError) -> Bool { try number(parameter, as: cl_bool.self) != 0 }

  func number<Value: BitwiseCopyable>(_ parameter: Int32, as type: Value.Type) throws(OpenCLError) -> Value {
    let value = UnsafeMutableRawPointer.allocate(byteCount: MemoryLayout<Value>.size, alignment: MemoryLayout<Value>.alignment)
    defer { value.deallocate() }
    let bytes = value.initializeMemory(as: UInt8.self, repeating: 0, count: MemoryLayout<Value>.size)
    try check("clGetDeviceInfo") { clGetDeviceInfo(device, cl_device_info(parameter), MemoryLayout<Value>.size, bytes, nil) }
    return value.load(as: Value.self)
  }

  func text(_ parameter: Int32) throws(OpenCLError) -> String {
    var size = 0
    try check("clGetDeviceInfo") { clGetDeviceInfo(device, cl_device_info(parameter), 0, nil, &size) }
    guard size > 0 else { return "" }
    var bytes = [UInt8](repeating: 0, count: size)
    try check("clGetDeviceInfo") { clGetDeviceInfo(device, cl_device_info(parameter), size, &bytes, nil) }
    let trimmed = bytes.prefix { $0 != 0 }.drop { $0 == UInt8(ascii: " ") }
    return String(decoding: trimmed, as: UTF8.self)
  }

  func described(platformIndex: Int, deviceIndex: Int) throws(OpenCLError) -> ComputeDevice {
    let type = try number(CL_DEVICE_TYPE, as: cl_device_type.self)
    let kind: ComputeDevice.Kind = type & 1 << 1 != 0 ? .cpu : type & 1 << 2 != 0 ? .gpu : .accelerator
    // Deprecated since 2.0 and still the only flag that tells an integrated GPU from a discrete one; absent means separate memory.
    let unified = (try? flag(CL_DEVICE_HOST_UNIFIED_MEMORY)) ?? false
    let extensions = Set(try text(CL_DEVICE_EXTENSIONS).split(separator: " ").map(String.init))
    return ComputeDevice(
      kind: kind,
      name: try text(CL_DEVICE_NAME),
      vendor: try text(CL_DEVICE_VENDOR),
      driverVersion: try text(CL_DRIVER_VERSION),
      memoryBytes: Int(clamping: try number(CL_DEVICE_GLOBAL_MEM_SIZE, as: cl_ulong.self)),
      maxAllocationBytes: Int(clamping: try number(CL_DEVICE_MAX_MEM_ALLOC_SIZE, as: cl_ulong.self)),
      computeUnits: Int(try number(CL_DEVICE_MAX_COMPUTE_UNITS, as: cl_uint.self)),
      sharesMemoryWithHost: kind == .cpu || unified,
      extensions: extensions,
      pciBusID: try pciBusID(extensions),
      platformIndex: platformIndex,
      deviceIndex: deviceIndex)
  }

  /// The device's PCI address as the extension, NVIDIA or AMD tells it.
  private func pciBusID(_ extensions: Set<String>) throws(OpenCLError) -> String? {
    // CL_DEVICE_PCI_BUS_INFO_KHR: domain, bus, device, function.
    if extensions.contains("cl_khr_pci_bus_info"), let bus = try? number(0x410F, as: (UInt32, UInt32, UInt32, UInt32).self) {
      return Self.pciBusID(domain: bus.0, bus: bus.1, device: bus.2, function: bus.3)
    }
    // CL_DEVICE_PCI_BUS_ID_NV, CL_DEVICE_PCI_SLOT_ID_NV (device and function) and, where the driver knows it, CL_DEVICE_PCI_DOMAIN_ID_NV.
    if extensions.contains("cl_nv_device_attribute_query"), let bus = try? number(0x4008, as: UInt32.self),
      let slot = try? number(0x4009, as: UInt32.self)
    {
      let domain = (try? number(0x400A, as: UInt32.self)) ?? 0
      return Self.pciBusID(domain: domain, bus: bus, device: slot >> 3 & 31, function: slot & 7)
    }
    // CL_DEVICE_TOPOLOGY_AMD: a type, 1 for PCI Express, 17 bytes that are not used, bus, device, function.
    if extensions.contains("cl_amd_device_attribute_query"),
      let topology = try? number(0x4037, as: (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32).self), topology.0 == 1
    {
      return Self.pciBusID(domain: 0, bus: topology.5 >> 8 & 255, device: topology.5 >> 16 & 255, function: topology.5 >> 24)
    }
    return nil
  }

  private static func pciBusID(domain: UInt32, bus: UInt32, device: UInt32, function: UInt32) -> String {
    return "\(hex(domain, 4)):\(hex(bus, 2)):\(hex(device, 2)).\(hex(function, 1))"
  }
}
#endif
