// Sizes that a device is tuned to: tried and tested first, kept in a file, never trusted.

#if OpenCL
import Foundation
import MoE
import Testing

@Suite struct OpenCLTuningTests {
  private func machine(_ folder: String) throws -> Machine {
    var options = OpenCLOptions(programs: ProgramCache(folder: folder))
    options.usesPanels = false
    return try .current(threads: 1, openCL: options)
  }

  @Test func aDeviceStartsFromTheNearestSizes() {
    func names(_ kind: ComputeDevice.Kind, _ name: String, _ vendor: String, units: Int, localKiB: Int) -> [String] {
      let device = ComputeDevice(
        kind: kind, name: name, vendor: vendor, driverVersion: "", memoryBytes: 1 << 30, maxAllocationBytes: 1 << 30, computeUnits: units,
        sharesMemoryWithHost: false, pciBusID: nil, platformIndex: 0, deviceIndex: 0)
      return DefaultShape.nearest(to: device, localBytes: localKiB << 10).names
    }
    #expect(names(.gpu, "NVIDIA H100 80GB HBM3", "NVIDIA Corporation", units: 132, localKiB: 48).contains("h100"))
    #expect(names(.gpu, "NVIDIA Tesla of tomorrow", "NVIDIA Corporation", units: 140, localKiB: 48).contains("h100"))
    #expect(names(.gpu, "gfx90a:sramecc+:xnack-", "Advanced Micro Devices, Inc.", units: 104, localKiB: 64).contains("gfx90"))
    #expect(names(.gpu, "Something", "Somebody", units: 8, localKiB: 32).contains("mali"))
    #expect(names(.cpu, "cpu-znver5", "AuthenticAMD", units: 2, localKiB: 512).isEmpty)
  }

  @Test func sizesFromAFileChangeNoBit() throws {
    let fixture = try LayerFixture.named("gpt_oss_mxfp4"), states = try fixture.input().states
    for device in OpenCLTests.devices {
      guard case .openCL(let index) = device else { continue }
      let folder = URL(fileURLWithPath: NSTemporaryDirectory()).appendingPathComponent("moe-tuning-\(UUID().uuidString)").path
      defer { try? FileManager.default.removeItem(atPath: folder) }
      func bits() throws -> [[UInt32]] { try fixture.layer(on: machine(folder), device: device).bits(states) }
      func files(_ suffix: String) throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(suffix) } }
      let expected = try bits(), untuned = try files(".program").count
      let tuning = try machine(folder).tune(index, seconds: 6)
      #expect(tuning.method == "tiles" && tuning.trials.count > 10)
      #expect(tuning.trials.filter { $0.milliseconds != nil }.count > 1, "\(tuning.trials)")
      #expect(tuning.trials.allSatisfy { ($0.milliseconds == nil) == ($0.failure != nil) })
      #expect(tuning.kept.map { kept in tuning.trials.contains { $0.sizes == kept && $0.milliseconds! < tuning.trials[0].milliseconds! } } ?? true)
      #expect(try bits() == expected)
      let path = try "\(folder)/\(#require(try files(".json").first))", whole = try String(contentsOfFile: path, encoding: .utf8)
      func write(_ shapes: String) throws {
        let device = try #require(try JSON(parsing: whole)["device"]?.string)
        try "{\"device\": \"\(device)\", \"shapes\": \(shapes)}".write(toFile: path, atomically: false, encoding: .utf8)
      }
      let before = try files(".program").count
      let sizes = [32, 32, 8, 4, 16, 4], others = tuning.kept == sizes ? [64, 32, 8, 4, 16, 4] : sizes
      try write("{\"tiles\": \(others)}")
      #expect(try bits() == expected)
      let after = try files(".program").count
      #expect(before >= untuned && after > before, "other sizes are other programs")
      #expect(DefaultShape.all.allSatisfy { $0.isCandidate })
      for sizes in Set(DefaultShape.all.map(\.sizes)) {
        try write("{\"tiles\": \(sizes)}")
        #expect(try bits() == expected, "\(sizes)")
      }
      for shapes in ["{\"tiles\": [32, 32, 8, 4, 7, 4]}", "{\"tiles\": [9223372036854775807, 0, -1, 8, 8, 4]}", "{\"tiles\": [64]}", "7", ""] {
        try write(shapes)
        #expect(try bits() == expected, "\(shapes)")
      }
    }
  }
}
#endif
