// Compiles a program, or takes the binary of an earlier compilation.

#if OpenCL
import CMoEKernels
import CMoEOpenCL
import MoEPlacement
import MoETensors

/// What a program is compiled from.
struct ProgramBuild {
  let name: String
  private let sources: [UnsafePointer<CChar>], options: String, context: OpenCLContext

  init(_ variant: KernelVariant, _ shape: TileShape, on context: OpenCLContext) throws(OpenCLError) {
    let language = variant.products?.language ?? "CL1.2", sizes = shape.options(variant.products)
    try self.init(variant.name, variant.sources(shape.method), "-cl-std=\(language) \(sizes) \(variant.options)", on: context)
  }

  /// The kernels that route tokens and cut their plans for `shape`.
  init(routingFor shape: TileShape, on context: OpenCLContext) throws(OpenCLError) {
    let names = ["tile", "plan", "doubles", "exact", "router_logits", "route"]
    try self.init("routing", names.map { moe_opencl_text($0) }, "-cl-std=CL1.2 " + shape.options(nil), on: context)
  }

  private init(_ name: String, _ sources: [UnsafePointer<CChar>], _ options: String, on context: OpenCLContext) throws(OpenCLError) {
    (self.name, self.sources, self.context) = (name, sources, context)
    let config = try context.info.number(CL_DEVICE_SINGLE_FP_CONFIG, as: cl_device_fp_config.self)
    let fuses = config & cl_device_fp_config(CL_FP_FMA) != 0
    self.options = options + (fuses ? " -D HAS_FMA" : "")
  }

  /// The program, built, from `cache` where it is there.
  func program(_ cache: ProgramCache?) throws(OpenCLError) -> cl_program {
    let key = try key()
    if let binary = cache?.binary(for: key), let program = try? program(of: binary) { return program }
    var sources: [UnsafePointer<CChar>?] = sources
    let program = try context.make("clCreateProgramWithSource", name) {
      clCreateProgramWithSource(context.context, cl_uint(sources.count), &sources, nil, &$0)
    }
    do throws(OpenCLError) { try build(program) } catch {
      context.release("clReleaseProgram") { clReleaseProgram(program) }
      throw error
    }
    if let cache, let binary = binary(of: program) { cache.keep(binary, for: key) }
    return program
  }

  /// Everything that the binary depends on.
  private func key() throws(OpenCLError) -> String {
    func platform(_ parameter: Int32) throws(OpenCLError) -> String {
      var bytes = [UInt8](repeating: 0, count: 1024), size = 0
      try context.check("clGetPlatformInfo", clGetPlatformInfo(context.platform, cl_platform_info(parameter), bytes.count, &bytes, &size))
      return String(decoding: bytes.prefix(size), as: UTF8.self)
    }
    let device = context.device
    let parts = [
      device.name, device.vendor, device.driverVersion, try context.info.text(CL_DEVICE_VERSION), try platform(CL_PLATFORM_NAME),
      try platform(CL_PLATFORM_VERSION), options,
    ]
    return (parts + sources.map { String(cString: $0) }).joined(separator: "\n")
  }

  private func build(_ program: cl_program) throws(OpenCLError) {
    let status = context.build(program, options)
    guard status != CL_SUCCESS else { return }
    var log = [UInt8](repeating: 0, count: 1 << 16), size = 0
    clGetProgramBuildInfo(program, context.handle, cl_program_build_info(CL_PROGRAM_BUILD_LOG), log.count, &log, &size)
    let lines = String(decoding: log.prefix { $0 != 0 }, as: UTF8.self).split(separator: "\n")
    // Warnings may come first.
    let text = lines[(lines.firstIndex { $0.contains("error") } ?? 0)...].prefix(4).joined(separator: "; ")
    try context.check("clBuildProgram", status, "\(name) on \(context.device.name): \(text)")
  }

  private func program(of binary: [UInt8]) throws(OpenCLError) -> cl_program {
    var handle: cl_device_id? = context.handle, length = binary.count, accepted: cl_int = 0
    let program = try context.make("clCreateProgramWithBinary") { status in
      binary.withUnsafeBufferPointer { bytes in
        var start: UnsafePointer<UInt8>? = bytes.baseAddress
        return clCreateProgramWithBinary(context.context, 1, &handle, &length, &start, &accepted, &status)
      }
    }
    do throws(OpenCLError) { try build(program) } catch {
      context.release("clReleaseProgram") { clReleaseProgram(program) }
      throw error
    }
    return program
  }

  /// What the driver made of the program; nil when it does not tell.
  private func binary(of program: cl_program) -> [UInt8]? {
    var size = 0
    guard clGetProgramInfo(program, cl_program_info(CL_PROGRAM_BINARY_SIZES), MemoryLayout<Int>.size, &size, nil) == CL_SUCCESS, size > 0 else {
      return nil
    }
    var bytes = [UInt8](repeating: 0, count: size)
    let status = bytes.withUnsafeMutableBufferPointer { bytes in
      var start: UnsafeMutablePointer<UInt8>? = bytes.baseAddress
      return clGetProgramInfo(program, cl_program_info(CL_PROGRAM_BINARIES), MemoryLayout.size(ofValue: start), &start, nil)
    }
    return status == CL_SUCCESS ? bytes : nil
  }
}
#endif
