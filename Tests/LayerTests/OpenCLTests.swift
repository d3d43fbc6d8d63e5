// Every layer case on every OpenCL device: what the CPU computes, the same bits in every call and batch, errors that name the call.

import Dispatch
import Foundation
import MoE
import MoEOpenCL
import Synchronization
import Testing

/// True when values differ by rounding errors.
func agree(_ found: [Float], _ expected: [Float]) -> Bool {
  let largest = expected.map(abs).max() ?? 0
  return largest > 0 && zip(found, expected).allSatisfy { abs($0 - $1) <= 64 * Float.ulpOfOne * largest }
}

/// True when values differ by few codes of rounded activations, which the last bit of a nonlinearity may change; or `within` what rounding does.
func roundAlike(_ found: [Float], _ expected: [Float], within bound: Double = 1e-6) -> Bool {
  func squares(_ values: some Sequence<Float>) -> Double { values.reduce(0) { $0 + Double($1) * Double($1) } }
  return squares(zip(found, expected).lazy.map { $0 - $1 }) <= bound * squares(expected) && expected.contains { $0 != 0 }
}

extension Machine {
  /// What drivers got wrong; but Intel's compiler does not tell programs of the widest vectors.
  var failures: [String] {
    let isIntels = ((try? OpenCL.devices()) ?? []).contains { $0.vendor.contains("Intel") }
    return notes.filter { !isIntels || !$0.contains("no vectors of 512 bits") }
  }
}

@Suite struct OpenCLTests {
  static let programs = URL(fileURLWithPath: NSTemporaryDirectory()).appendingPathComponent("moe-programs-\(UUID().uuidString)").path
  static let machine = try! Machine.current(threads: 2, openCL: OpenCLOptions(programs: ProgramCache(folder: programs)))
  /// Where CPUs compute products as GPUs do.
  static let machineWithoutPanels = {
    var options = OpenCLOptions(programs: ProgramCache(folder: programs))
    options.usesPanels = false
    return try! Machine.current(threads: 2, openCL: options)
  }()
  /// Where they compute products of bf16 as tensor cores do.
  static let machineOfMatrices = {
    var options = OpenCLOptions(programs: ProgramCache(folder: programs))
    (options.usesPanels, options.roundedProducts) = (false, .matrices(.emulated, .bfloat16))
    return try! Machine.current(threads: 2, openCL: options)
  }()
  static let devices: [MoELayer.Device] = ((try? OpenCL.devices()) ?? []).indices.map { .openCL($0) }

  /// The layer on every device, by every method, and on rounded activations where its weights have them.
  private func layers(_ fixture: LayerFixture) throws -> [MoELayer] {
    let all = ActivationPrecision.allCases
    return try [(Self.machine, all), (Self.machineWithoutPanels, all), (Self.machineOfMatrices, [.bfloat16])].flatMap { machine, precisions in
      try Self.devices.flatMap { device in
        try precisions.map { ($0, try fixture.layer(on: machine, device: device, activations: $0)) }.filter { $0 == $1.activations }.map(\.1)
      }
    }
  }

  @Test func thereAreDevices() {
    #if OpenCL
      #expect(!Self.devices.isEmpty, "a device is expected where PoCL is installed")
    #endif
    print("OpenCL devices: \(Self.devices.map(\.description))")
  }

  @Test(arguments: LayerFixture.all)
  func devicesComputeWhatTheCPUDoes(_ fixture: LayerFixture) throws {
    let (states, sequences) = try fixture.input()
    func floats(_ layer: MoELayer) throws -> [Float] { try layer.bits(states, sequences: sequences).flatMap { $0.map(Float.init(bitPattern:)) } }
    for layer in try layers(fixture) {
      let onCPU = try fixture.layer(activations: layer.activations), expected = try floats(onCPU), found = try floats(layer)
      let isNear = onCPU.activations == layer.activations ? roundAlike(found, expected) : roundAlike(found, expected, within: 0x1p-14)
      #expect(layer.activations == .float ? agree(found, expected) : isNear, "\(layer.device), \(layer.activations)")
      #expect(try floats(layer) == found, "\(layer.device): a second call")
    }
  }

  @Test(arguments: LayerFixture.all)
  func theBatchDoesNotMatter(_ fixture: LayerFixture) throws {
    let states = try fixture.input().states
    for layer in try layers(fixture) where layer.isPerToken {
      let whole = try layer.bits(states)
      for token in 0..<min(4, states.tokens) { #expect(try layer.bits(states.rows([token])) == [whole[token]], "token \(token) alone") }
      // More rows than one tile of the kernels takes.
      let many = (0..<150).map { $0 * 7 % states.tokens }
      #expect(try layer.bits(states.rows(many)) == many.map { whole[$0] })
      #expect(try layer(HiddenStates([], tokens: 0, hidden: layer.hidden)).tokens == 0)
    }
  }

  @Test(arguments: ["qwen3_moe", "gpt_oss_mxfp4", "deepseek_v3_fp8", "nemotron_h_latent_awkward"])
  func aBadTokenHarmsNoOther(_ name: String) throws {
    let fixture = try LayerFixture.named(name), states = try fixture.input().states
    for layer in try layers(fixture) {
      var expected = try layer.bits(states)
      expected.remove(at: 1)
      var found = try layer.bits(states.with(1, .nan))
      #expect(found.remove(at: 1).allSatisfy { Float(bitPattern: $0).isNaN })
      #expect(found == expected)
    }
  }

  @Test(arguments: ["qwen3_moe", "qwen2_moe_all", "longcat_flash_all", "llama4"])
  func theStagesOneByOneAreTheLayer(_ name: String) throws {
    let fixture = try LayerFixture.named(name), states = try fixture.input().states
    for device in Self.devices {
      let layer = try fixture.layer(on: Self.machine, device: device)
      var weights = layer.weights
      weights.shared = nil
      let alone = try layer.replacing(weights), plan = try alone.plan(alone.route(states))
      let combined = try alone.combine(plan, alone.down(plan, alone.gateUp(plan, states)), states)
      #expect(combined.values.map(\.bitPattern) == (try alone.bits(states).flatMap { $0 }))
    }
  }

  @Test func callersMayShareADevice() throws {
    let fixture = try LayerFixture.named("qwen2_moe_all"), (states, sequences) = try fixture.input()
    for layer in try layers(fixture) {
      let expected = try layer.bits(states, sequences: sequences), wrong = Atomic(0)
      DispatchQueue.concurrentPerform(iterations: 16) { _ in
        if (try? layer.bits(states, sequences: sequences)) != expected { wrong.add(1, ordering: .relaxed) }
      }
      #expect(wrong.load(ordering: .relaxed) == 0)
    }
  }

  @Test(arguments: ["qwen2_moe", "gpt_oss_mxfp4", "deepseek_v3_fp8", "nemotron_h_latent_awkward"])
  func memoryOfItsOwnHoldsTheSame(_ name: String) throws {
    let fixture = try LayerFixture.named(name), states = try fixture.input().states
    let many = try states.rows((0..<300).map { $0 * 7 % states.tokens })
    for device in Self.devices {
      let expected = try fixture.layer(on: Self.machine, device: device).bits(many)
      // Less than a row, some rows, and everything at once.
      for bytes in [1, 1000, 1 << 20] {
        let options = OpenCLOptions(usesHostMemory: false, stagingBytes: bytes, programs: ProgramCache(folder: Self.programs))
        let layer = try fixture.layer(on: Machine.current(threads: 1, openCL: options), device: device)
        #expect(try layer.bits(many) == expected, "\(device), staging of \(bytes) bytes")
      }
    }
  }

  private func failure(_ body: () throws -> Void) -> OpenCLError? {
    do { try body() } catch MoEError.openCL(let error) { return error } catch { Issue.record("another error: \(error)") }
    return nil
  }

  @Test func aDeviceThatIsNotThereIsAnError() throws {
    let fixture = try LayerFixture.named("qwen3_moe")
    let error = try #require(failure { _ = try fixture.layer(on: Self.machine, device: .openCL(99)) })
    #if OpenCL
      #expect(error.call == "clGetDeviceIDs" && error.name == "CL_DEVICE_NOT_FOUND" && error.detail.hasPrefix("device 99 of "))
    #else
      #expect(error.detail.contains("trait OpenCL"))
    #endif
  }

  @Test func theBudgetIsKept() throws {
    let fixture = try LayerFixture.named("qwen3_moe"), states = try fixture.input().states
    for device in Self.devices {
      let tight = try Machine.current(threads: 1, openCL: OpenCLOptions(memoryLimit: 1000, programs: ProgramCache(folder: Self.programs)))
      let error = try #require(failure { _ = try fixture.layer(on: tight, device: device) })
      #expect(error.call == "clCreateBuffer" && error.name == "CL_MEM_OBJECT_ALLOCATION_FAILURE" && error.detail.contains("of 1000 on "))
      // What the failed layer took is given back, and the weights compute elsewhere.
      #expect(try fixture.layer(on: tight).bits(states) == fixture.layer().bits(states))
    }
  }

  @Test(arguments: ["flipped", "cut", "empty", "shared"])
  func aDamagedProgramIsCompiledAnew(_ damage: String) throws {
    let folder = URL(fileURLWithPath: NSTemporaryDirectory()).appendingPathComponent("moe-damage-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let fixture = try LayerFixture.named("qwen3_moe"), states = try fixture.input().states
    for device in Self.devices {
      func bits() throws -> [[UInt32]] {
        try fixture.layer(on: Machine.current(threads: 1, openCL: OpenCLOptions(programs: ProgramCache(folder: folder))), device: device).bits(states)
      }
      let expected = try bits(), names = try FileManager.default.contentsOfDirectory(atPath: folder)
      #expect(names.count == 1 && names[0].hasSuffix(".program"))
      #expect(try FileManager.default.attributesOfItem(atPath: folder)[.posixPermissions] as? Int == 0o700)
      let path = "\(folder)/\(names[0])", whole = try Data(contentsOf: URL(fileURLWithPath: path))
      var bytes = whole
      switch damage {
      case "flipped": bytes[bytes.count / 2] ^= 1
      case "cut": bytes.removeLast(bytes.count / 3)
      case "empty": bytes = Data()
      default: try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder)
      }
      try bytes.write(to: URL(fileURLWithPath: path))
      #expect(try bits() == expected)
      if damage != "shared" { #expect(try Data(contentsOf: URL(fileURLWithPath: path)).count == whole.count) }
    }
  }
}
