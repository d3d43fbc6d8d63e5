// A system that lets nobody bind memory or threads, as container runtimes have it: layers run where they may, and say so.

#if os(Linux) && Hwloc
import Foundation
import MoE
import Testing

@Suite struct RefusedBindingTests {
  @Test func everyBindingIsRefused() async {
    await #expect(processExitsWith: .success) {
      if Topology.current().nodes.count == 1 {
        // Nodes that hwloc takes for those of this machine.
        setenv("HWLOC_SYNTHETIC", "numa:2 core:1 pu:1", 1)
        setenv("HWLOC_THISSYSTEM", "1", 1)
      }
      try #require(try refusingBindings())
      let topology = Topology.current(), machine = try Machine(topology: topology, threads: 2, pinned: true), parts = try RandomLayer("q8_0", .int8)
      try #require(topology.source == .machine && topology.nodes.count > 1)
      let layer = try parts.layer(on: machine, PlacedLayerTests.placement(.split, parts.experts, on: topology))
      #expect(layer.placementNotes.first?.contains("errno \(EPERM)") == true, "\(layer.placementNotes)")
      let plain = try parts.layer(on: LayerFixture.machine)
      for tokens in [1, 40] {
        let states = try PlacedLayerTests.states(tokens, layer.hidden)
        #expect(try layer.bits(states) == plain.bits(states))
      }
      if topology.limits.cpus.count > 1 { #expect(machine.notes.contains { $0.contains("not bound to CPUs") && $0.contains("errno \(EPERM)") }) }
      #expect { try layer.moved(to: PlacedLayerTests.placement(.mirror, parts.experts, on: topology)) } throws: {
        if case MoEError.placement(.memory) = $0 { true } else { false }
      }
    }
  }
}

/// Has the kernel answer `mbind`, `set_mempolicy` and `sched_setaffinity` of this process with EPERM, from now on.
private func refusingBindings() throws -> Bool {
  #if arch(x86_64)
    let (refused, prctl, seccomp, architecture) = ([237, 238, 203], 157, 317, 0xC000_003E as UInt64)
  #else
    let (refused, prctl, seccomp, architecture) = ([235, 237, 122], 167, 277, 0xC000_00B7 as UInt64)
  #endif
  /// An instruction of the kernel's packet filters: code, instructions to skip when equal and when not, operand.
  func instruction(_ code: UInt64, equal: Int = 0, other: Int = 0, _ operand: UInt64) -> UInt64 {
    code | UInt64(equal) << 16 | UInt64(other) << 24 | operand << 32
  }
  let load: UInt64 = 0x20, jump: UInt64 = 0x15, answer: UInt64 = 0x06, allow: UInt64 = 0x7fff_0000, error: UInt64 = 0x0005_0000
  var filter = [instruction(load, 4), instruction(jump, other: 1 + refused.count, architecture), instruction(load, 0)]
  for (index, number) in refused.enumerated() { filter.append(instruction(jump, equal: refused.count - index, UInt64(number))) }
  filter += [instruction(answer, allow), instruction(answer, error | UInt64(EPERM))]
  typealias Call = @convention(c) (_ number: Int, _ first: Int, _ second: Int, _ third: UnsafeRawPointer?, _ fourth: Int, _ fifth: Int) -> Int
  let call = unsafeBitCast(try #require(dlsym(nil, "syscall")), to: Call.self), setNoNewPrivileges = 38, setFilter = 1, allThreads = 1
  return filter.withUnsafeBufferPointer { filter in
    let program = (length: UInt64(filter.count), filter: filter.baseAddress)
    return call(prctl, setNoNewPrivileges, 1, nil, 0, 0) == 0 && withUnsafePointer(to: program) { call(seccomp, setFilter, allThreads, $0, 0, 0) } == 0
  }
}
#endif
