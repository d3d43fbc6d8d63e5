// One OpenCL platform: the devices of a driver, and what is wrong with them.

#if OpenCL
import CMoEOpenCL
import MoEPlacement

/// A device with its handles, and the bytes of local memory of a work-group.
struct FoundDevice: @unchecked Sendable {
  let device: ComputeDevice, handle: cl_device_id, platform: cl_platform_id, localBytes: Int
}

/// A platform as the loader lists it.
struct PlatformHandle: @unchecked Sendable {
  let id: cl_platform_id
}

/// A platform with the thread that asks it.
struct Platform: Sendable {
  let index: Int
  private let handle: PlatformHandle, thread: CallingThread

  init(_ handle: PlatformHandle, _ index: Int) throws(OpenCLError) { (self.handle, self.index, thread) = (handle, index, try CallingThread()) }

  /// The devices that can run kernels, and a line for each that cannot.
  ///
  /// - Throws: `OpenCLError` when the platform does not list its devices, or some call does not return.
  func devices() throws(OpenCLError) -> (devices: [FoundDevice], notes: [String]) {
    try thread.run { () throws(OpenCLError) in
      var devices: [FoundDevice] = [], notes: [String] = []
      for (deviceIndex, handle) in try handles().enumerated() {
        let name = "OpenCL device \(index):\(deviceIndex)", info = DeviceInfo(handle) { (call, make) throws(OpenCLError) in try thread.check(call, make) }
        do throws(OpenCLError) {
          let device = try info.described(platformIndex: index, deviceIndex: deviceIndex)
          if try info.flag(CL_DEVICE_AVAILABLE), try info.flag(CL_DEVICE_COMPILER_AVAILABLE) {
            let localBytes = Int(clamping: try info.number(CL_DEVICE_LOCAL_MEM_SIZE, as: cl_ulong.self))
            devices.append(FoundDevice(device: device, handle: handle, platform: self.handle.id, localBytes: localBytes))
          } else {
            notes.append("\(name) (\(device.name)) is not available or has no compiler")
          }
        } catch {
          notes.append("\(name): \(error)")
        }
      }
      return (devices, notes)
    }
  }

  /// All devices; the list order gives `ComputeDevice.deviceIndex`.
  private func handles() throws(OpenCLError) -> [cl_device_id] {
    let all: cl_device_type = 0xFFFF_FFFF
    var count: cl_uint = 0
    do throws(OpenCLError) {
      try thread.check("clGetDeviceIDs") { clGetDeviceIDs(handle.id, all, 0, nil, &count) }
    } catch where error.status == CL_DEVICE_NOT_FOUND { return [] }
    guard count > 0 else { return [] }
    var devices = [cl_device_id?](repeating: nil, count: Int(count))
    try thread.check("clGetDeviceIDs") { clGetDeviceIDs(handle.id, all, count, &devices, nil) }
    return devices.compactMap { $0 }
  }
}
#endif
