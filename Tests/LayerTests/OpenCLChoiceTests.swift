// Which variant of its kernels a device gets: the next best where the driver refuses one or gets it wrong, and a note that says so.
//
// The first run by scripts/opencl-faults, which puts Tests/OpenCLDriver/layer.c between the loader and the driver.

#if OpenCL
import Foundation
import MoE
import MoEOpenCL
import Testing

@Suite(.serialized) struct OpenCLChoiceTests {
  static let refused = "#error refused", wrong = "#define fma(a, b, c) ((c) + 1)"

  @Test(.enabled(if: ProcessInfo.processInfo.environment["OPENCL_LAYERS"] != nil), arguments: [
    ("__AVX512BW__", refused, "panel_bytes", ActivationPrecision.int8),
    ("__AVX512BW__", wrong, "panel_bytes", .int8),
    ("multiply_panel_", refused, "f32", .int8),
    ("multiply_panel_", wrong, "f32", .int8),
    ("rounded_rows", refused, "panel_floats", .float),
    ("rounded_rows", wrong, "panel_floats", .float),
  ])
  func whatADriverGetsWrongIsNotUsed(_ word: String, _ line: String, _ variant: String, _ activations: ActivationPrecision) throws {
    let fixture = try LayerFixture.named("gpt_oss_mxfp4"), states = try fixture.input().states
    func layer(_ machine: Machine, _ activations: ActivationPrecision) throws -> MoELayer {
      try fixture.layer(on: machine, device: .openCL(0), activations: activations)
    }
    let machine = try Machine.current(threads: 1, openCL: OpenCLOptions(programs: nil))
    setenv("LAYER_SOURCE", "\(word)=\(line)", 1)
    defer { unsetenv("LAYER_SOURCE") }
    let found = try layer(machine, .int8)
    unsetenv("LAYER_SOURCE")
    // Byte panels are for CPUs that have the vectors; float panels are the next of all.
    if KernelTable(named: "avx512") == nil, variant == "panel_bytes" { return }
    #expect(found.activations == activations)
    #expect(machine.notes.contains { $0.contains(variant) && $0.contains(line == Self.refused ? "refused" : "self-test") }, "\(machine.notes)")
    #expect(try found.bits(states) == layer(.current(threads: 1, openCL: OpenCLOptions(programs: nil)), activations).bits(states))
  }

  @Test func dotProductsComeByWhatADeviceSays() {
    func names(_ extensions: String, _ capability: (UInt32, UInt32)? = nil, isExactInHalf: Bool = true) -> [String] {
      RoundedProducts.dots(Set(extensions.split(separator: " ").map(String.init)), computeCapability: capability, isExactInHalf: isExactInHalf).map(\.rawValue)
    }
    #expect(names("") == ["dot_plain"])
    #expect(names("cl_khr_fp64 cl_khr_integer_dot_product") == ["dot_khr", "dot_plain"])
    #expect(names("cl_arm_integer_dot_product_accumulate_int8") == ["dot_arm", "dot_plain"])
    #expect(names("cl_arm_integer_dot_product_accumulate_int8 cl_khr_integer_dot_product") == ["dot_khr", "dot_arm", "dot_plain"])
    #expect(names("cl_khr_fp16 cl_khr_integer_dot_product") == ["dot_khr", "dot_half", "dot_plain"])
    #expect(names("cl_khr_fp16") == ["dot_half", "dot_plain"] && names("cl_khr_fp16", isExactInHalf: false) == ["dot_plain"])
    #expect(names("", (6, 0)) == ["dot_plain"])
    #expect(names("", (6, 1)) == ["dot_ptx", "dot_plain"] && names("", (9, 0)) == ["dot_ptx", "dot_plain"])
    #expect(RoundedProducts.subgroups(["cl_khr_subgroups"], computeCapability: nil) == nil)
    #expect(RoundedProducts.subgroups(["cl_khr_subgroups", "cl_khr_subgroup_shuffle"], computeCapability: nil) == .khronos)
    #expect(RoundedProducts.subgroups([], computeCapability: (6, 0)) == .ptx)
    for precision in [ActivationPrecision.bfloat16, .int8] {
      func units(_ capability: (UInt32, UInt32)?) -> [RoundedProducts] { RoundedProducts.matrices(precision, computeCapability: capability) }
      #expect(units(nil).isEmpty && units((7, 5)).isEmpty && units((8, 0)) == [.matrices(.ptx, precision)] && units((9, 0)) == units((8, 0)))
    }
  }
}
#endif
