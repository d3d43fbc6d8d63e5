// The sizes that a device starts from before it is tuned: those of its architecture, or of the nearest in the table.

#if OpenCL
package import MoEPlacement

/// An architecture with the sizes of its tiles: group, item, step, few, as in `TileShape`. docs/opencl.md has the reasons; none is measured on a GPU.
package struct DefaultShape: Sendable {
  /// In lower case, parts of the names of the vendor and of devices.
  private let vendor: String
  package let names: [String]
  private let kind: ComputeDevice.Kind
  /// Of a typical device.
  private let computeUnits: Int, localKiB: Int
  /// The sizes, one of the candidates of `kernbench tune`.
  package let sizes: [Int]

  private init(_ vendor: String, _ names: [String], _ kind: ComputeDevice.Kind = .gpu, units: Int, localKiB: Int, _ sizes: [Int]) {
    (self.vendor, self.names, self.kind, computeUnits, self.localKiB, self.sizes) = (vendor, names, kind, units, localKiB, sizes)
  }

  /// The architectures known, the widest of a vendor first.
  package static let all: [DefaultShape] = [
    .init("nvidia", ["h100", "h200", "h800", "gh200"], units: 132, localKiB: 48, [128, 64, 8, 8, 16, 4]),
    .init("nvidia", ["a100", "a800", "a30"], units: 108, localKiB: 48, [128, 64, 8, 8, 16, 4]),
    .init("nvidia", ["rtx", "l40", "l4", "a10", "a40"], units: 76, localKiB: 48, [128, 64, 8, 8, 16, 4]),
    .init("advanced micro devices", ["gfx90", "gfx94", "gfx95", "instinct"], units: 110, localKiB: 64, [128, 128, 8, 8, 16, 4]),
    .init("advanced micro devices", ["gfx10", "gfx11", "gfx12", "radeon"], units: 48, localKiB: 64, [128, 64, 8, 8, 16, 4]),
    .init("intel", ["max", "flex", "arc", "iris", "uhd", "graphics"], units: 448, localKiB: 64, [64, 32, 8, 4, 16, 4]),
    .init("arm", ["mali", "immortalis"], units: 10, localKiB: 32, [32, 32, 8, 4, 8, 4]),
    .init("qualcomm", ["adreno"], units: 6, localKiB: 32, [64, 32, 8, 4, 8, 4]),
    .init("", [], .cpu, units: 8, localKiB: 512, [64, 64, 8, 8, 16, 4]),
  ]

  /// True where a device of this kind could be tuned to these sizes too.
  package var isCandidate: Bool { TileShape(.tiles, tuned: sizes, localBytes: localKiB << 10) != nil }

  /// The entry nearest to a device: kind, then vendor, then name count more than how much local memory and how many compute units it has.
  package static func nearest(to device: ComputeDevice, localBytes: Int) -> DefaultShape {
    let vendor = device.vendor.lowercased(), name = device.name.lowercased()
    func distance(_ shape: DefaultShape) -> Int {
      func octaves(_ a: Int, _ b: Int) -> Int { abs((Int.bitWidth - max(a, 1).leadingZeroBitCount) - (Int.bitWidth - max(b, 1).leadingZeroBitCount)) }
      return (shape.kind == device.kind ? 0 : 4000) + (vendor.contains(shape.vendor) || shape.vendor.isEmpty ? 0 : 2000)
        + (shape.names.contains { name.contains($0) } || shape.names.isEmpty ? 0 : 1000)
        + 8 * octaves(shape.localKiB << 10, localBytes) + octaves(shape.computeUnits, device.computeUnits)
    }
    return all.min { distance($0) < distance($1) }!
  }
}
#endif
