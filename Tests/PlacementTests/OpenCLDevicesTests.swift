// Discovery of OpenCL devices.

import MoEOpenCL
import MoEPlacement
import Testing

@Suite struct OpenCLDevicesTests {
  @Test func devicesAreDescribed() throws {
    let discovery = try OpenCL.discover()
    for device in discovery.devices {
      #expect(!device.name.isEmpty)
      #expect(device.memoryBytes > 0)
      #expect(0 < device.maxAllocationBytes && device.maxAllocationBytes <= device.memoryBytes)
      #expect(device.computeUnits > 0)
      if device.kind == .cpu { #expect(device.sharesMemoryWithHost) }
    }
    #if OpenCL
    #expect(discovery.devices.contains { $0.kind == .cpu }, "a CPU device is expected where PoCL is installed: \(discovery.notes)")
    #else
    #expect(discovery.devices.isEmpty && discovery.notes.count == 1)
    #endif
    #expect(try OpenCL.devices() == discovery.devices)
  }

  @Test func errorsNameTheStatus() {
    #expect("\(OpenCLError(call: "clBuildProgram", status: -11))" == "clBuildProgram failed: CL_BUILD_PROGRAM_FAILURE (-11)")
    #expect(OpenCLError(call: "clFinish", status: -9999).name == "status -9999")
  }
}
