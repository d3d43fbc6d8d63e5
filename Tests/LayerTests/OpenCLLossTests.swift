// A device that is lost while layers use it: typed errors at once and from then on, and the CPU goes on.
//
// Run by scripts/opencl-faults, which puts Tests/OpenCLDriver/layer.c between the loader and the driver.

import Foundation
import MoE
import Testing

@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["OPENCL_LAYERS"] != nil))
struct OpenCLLossTests {
  @Test(arguments: [
    ("clEnqueueNDRangeKernel=-5", "clEnqueueNDRangeKernel", "CL_OUT_OF_RESOURCES"),
    ("clEnqueueMapBuffer=-36", "clEnqueueMapBuffer", "CL_INVALID_COMMAND_QUEUE"),
    ("clEnqueueUnmapMemObject=-5", "clEnqueueUnmapMemObject", "CL_OUT_OF_RESOURCES"),
    ("clEnqueueNDRangeKernel=hang", "clEnqueueNDRangeKernel", "CL_RUNNING"),
    ("clFlush=hang", "clFlush", "CL_RUNNING"),
  ])
  func aLostDeviceLeavesTheCPU(_ fault: String, _ call: String, _ name: String) throws {
    let fixture = try LayerFixture.named("qwen2_moe"), states = try fixture.input().states, expected = try fixture.layer().bits(states)
    let options = OpenCLOptions(deadline: .seconds(2), programs: ProgramCache(folder: OpenCLTests.programs))
    let machine = try Machine.current(threads: 1, openCL: options)
    let layer = try fixture.layer(on: machine, device: .openCL(0)), other = try fixture.layer(on: machine, device: .openCL(0))
    _ = try layer(states)
    setenv("LAYER_FAIL", fault, 1)
    let start = ContinuousClock.now, first = failure { _ = try layer(states) }
    unsetenv("LAYER_FAIL")
    #expect(ContinuousClock.now - start < .seconds(4))
    let error = try #require(first)
    #expect(error.call == call && error.name == name, "\(error)")
    #expect(fault.hasSuffix("hang") == error.detail.contains("the thread that made it is given up"), "\(error)")
    // Every layer of the machine has lost the device, and new ones do not get it either.
    #expect(failure { _ = try layer(states) } == error && failure { _ = try other(states) } == error)
    #expect(failure { _ = try fixture.layer(on: machine, device: .openCL(0)) } == error)
    #expect(machine.notes.contains { $0.contains("is lost: \(call)") })
    let onCPU = try MoELayer(configuration: layer.configuration, weights: layer.weights, on: machine)
    #expect(try onCPU.bits(states) == expected)
    #expect(try fixture.layer(on: Machine.current(threads: 1, openCL: options), device: .openCL(0))(states).tokens == states.tokens)
  }

  /// A device that is lost while the CPU computes the other experts.
  @Test(arguments: [("clEnqueueNDRangeKernel=-5", "CL_OUT_OF_RESOURCES"), ("clEnqueueMapBuffer=-12", "CL_MAP_FAILURE"), ("clFlush=hang", "CL_RUNNING")])
  func aLostDeviceFailsTheLayerThatIsJoined(_ fault: String, _ name: String) throws {
    let fixture = try LayerFixture.named("qwen2_moe"), states = try fixture.input().states, expected = try fixture.layer().bits(states)
    let machine = try Machine.current(
      threads: 2, openCL: OpenCLOptions(deadline: .seconds(2), programs: ProgramCache(folder: OpenCLTests.programs)))
    let layer = try JointLayerTests.layer(fixture, on: machine), joint = try layer.bits(states), isLost = name != "CL_MAP_FAILURE"
    setenv("LAYER_FAIL", fault, 1)
    let start = ContinuousClock.now, first = failure { _ = try layer(states) }
    unsetenv("LAYER_FAIL")
    #expect(ContinuousClock.now - start < .seconds(4))
    let error = try #require(first)
    #expect(fault.hasPrefix(error.call) && error.name == name, "\(error)")
    if isLost {
      #expect(failure { _ = try layer(states) } == error && failure { _ = try JointLayerTests.layer(fixture, on: machine) } == error)
    } else {
      #expect(try layer.bits(states) == joint)
    }
    let onCPU = try MoELayer(configuration: layer.configuration, weights: layer.weights, on: machine)
    #expect(try onCPU.bits(states) == expected)
  }

  /// What a layer gives back goes to the device's thread; whoever asks the device next learns that it is stuck.
  @Test func aLayerThatCannotBeGivenBackHoldsUpNobody() throws {
    let fixture = try LayerFixture.named("qwen2_moe"), states = try fixture.input().states
    let machine = try Machine.current(
      threads: 1, openCL: OpenCLOptions(deadline: .seconds(2), programs: ProgramCache(folder: OpenCLTests.programs)))
    let other = try fixture.layer(on: machine, device: .openCL(0))
    var layer: MoELayer? = try fixture.layer(on: machine, device: .openCL(0))
    _ = try (layer?(states), other(states))
    setenv("LAYER_FAIL", "clReleaseMemObject=hang", 1)
    let start = ContinuousClock.now
    layer = nil
    #expect(ContinuousClock.now - start < .seconds(1))
    let error = try #require(failure { _ = try other(states) })
    unsetenv("LAYER_FAIL")
    #expect(ContinuousClock.now - start < .seconds(4))
    #expect(error.call == "clReleaseMemObject" && error.name == "CL_RUNNING", "\(error)")
    #expect(failure { _ = try other(states) } == error && machine.notes.contains { $0.contains("is lost: clReleaseMemObject") })
    #expect(try MoELayer(configuration: other.configuration, weights: other.weights, on: machine).bits(states) == fixture.layer().bits(states))
  }

  /// A device that is lost while experts come to it: the layer in force stays, and its weights compute on the CPU.
  @Test(arguments: ["clEnqueueMapBuffer=-36", "clEnqueueUnmapMemObject=-5", "clFlush=hang"])
  func aLostDeviceLeavesTheLayerThatWasToMove(_ fault: String) throws {
    let parts = try RandomLayer("bf16", .float), states = try PlacedLayerTests.states(2, 1024)
    let machine = try Machine.current(
      threads: 2, openCL: OpenCLOptions(deadline: .seconds(2), programs: ProgramCache(folder: OpenCLTests.programs)))
    let placement = JointLayerTests.placement((0..<parts.experts).map { $0 < 2 ? 0 : nil })
    let layers = try AdaptiveLayers([parts.layer(on: machine, placement)], planner: nil)
    let routing = try RouterOutput(experts: parts.experts, topK: 1, expertIDs: [2, 3], weights: [1, 1])
    let expected = try layers.bits(0, states, routing: routing)
    setenv("LAYER_FAIL", fault, 1)
    let start = ContinuousClock.now, first = failure { try layers.move(0, to: JointLayerTests.mixed(parts.experts)) }
    unsetenv("LAYER_FAIL")
    #expect(ContinuousClock.now - start < .seconds(4))
    let error = try #require(first)
    #expect(fault.hasPrefix(error.call), "\(error)")
    #expect(layers[0].placement == placement && failure { try layers.move(0, to: JointLayerTests.mixed(parts.experts)) } == error)
    // Tokens without experts on the device go on; all of them where all experts come back.
    #expect(try layers.bits(0, states, routing: routing) == expected)
    try layers.move(0, to: JointLayerTests.placement(.init(repeating: nil, count: parts.experts)))
    #expect(try layers.bits(0, states) == parts.layer(on: LayerFixture.machine).bits(states))
  }

  private func failure(_ body: () throws -> Void) -> OpenCLError? {
    do { try body() } catch MoEError.openCL(let error) { return error } catch { Issue.record("another error: \(error)") }
    return nil
  }
}
