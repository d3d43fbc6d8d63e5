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
  /// The devices that can run kernels, and notes on those that cannot be used, and on platforms that do not answer within 10 seconds.
  public static func discover() throws(OpenCLError) -> Discovery {
    let found = try found()
    return Discovery(devices: found.devices.map(\.device), notes: found.notes)
  }

  /// The device at `index` of `discover().devices`, as the interface knows it.
  ///
  /// - Throws: `OpenCLError` of `clGetDeviceIDs` with `CL_DEVICE_NOT_FOUND` when there are fewer.
  static func device(at index: Int) throws(OpenCLError) -> FoundDevice {
    let found = try found().devices
    guard found.indices.contains(index) else {
      throw OpenCLError(call: "clGetDeviceIDs", status: CL_DEVICE_NOT_FOUND, detail: "device \(index) of \(found.count)")
    }
    return found[index]
  }

  private static func found() throws(OpenCLError) -> (devices: [FoundDevice], notes: [String]) {
    var devices: [FoundDevice] = [], notes: [String] = []
    for platform in try platforms.get() {
      do throws(OpenCLError) {
        let found = try platform.devices()
        devices += found.devices
        notes += found.notes
      } catch {
        notes.append("OpenCL platform \(platform.index): \(error)")
      }
    }
    return (devices, notes)
  }

  /// The loader's platforms; the list order gives `ComputeDevice.platformIndex`.
  ///
  /// Loader and drivers set themselves up in their first calls, and not all of them bear two threads doing that: one goes first.
  private static let platforms: Result<[Platform], OpenCLError> = {
    do throws(OpenCLError) {
      let loader = try CallingThread()
      let handles = try loader.run { () throws(OpenCLError) in try list(loader) }
      let platforms = try handles.enumerated().map { index, handle throws(OpenCLError) in try Platform(handle, index) }
      for platform in platforms { _ = try? platform.devices() }
      return .success(platforms)
    } catch { return .failure(error) }
  }()

  private static func list(_ loader: CallingThread) throws(OpenCLError) -> [PlatformHandle] {
    var count: cl_uint = 0
    do throws(OpenCLError) {
      try loader.check("clGetPlatformIDs") { clGetPlatformIDs(0, nil, &count) }
    } catch where error.status == -1001 {
      // CL_PLATFORM_NOT_FOUND_KHR: a loader without a single driver.
      return []
    }
    guard count > 0 else { return [] }
    var platforms = [cl_platform_id?](repeating: nil, count: Int(count))
    try loader.check("clGetPlatformIDs") { clGetPlatformIDs(count, &platforms, nil) }
    return platforms.compactMap { $0.map { PlatformHandle(id: $0) } }
  }
  #else
  /// No devices: the package was built without the trait `OpenCL`.
  public static func discover() throws(OpenCLError) -> Discovery {
    Discovery(notes: ["OpenCL: built without the trait OpenCL"])
  }
  #endif
}
