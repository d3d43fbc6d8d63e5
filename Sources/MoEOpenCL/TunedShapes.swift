// What devices were tuned to, in files beside the compiled programs.

#if OpenCL
internal import MoECheckpoint
internal import MoEPlacement
internal import MoETensors

extension ProgramCache {
  /// The shapes that `keep(_:of:)` wrote for a device with this driver; none where the file is not there or holds something else.
  func tunedShapes(of device: ComputeDevice, localBytes: Int) -> [ProductMethod: TileShape] {
    guard isPrivate, let file = try? JSON(path: path(of: device), limits: .init(depth: 4, values: 64, bytes: 1 << 12)),
      file["device"]?.string == Self.key(device)
    else { return [:] }
    var shapes: [ProductMethod: TileShape] = [:]
    for (name, sizes) in file["shapes"]?.object ?? [:] {
      guard let method = ProductMethod(rawValue: name) else { continue }
      shapes[method] = TileShape(method, tuned: sizes.array?.compactMap(\.int) ?? [], localBytes: localBytes)
    }
    return shapes
  }

  /// Writes the shapes that a device was tuned to.
  ///
  /// - Throws: `CheckpointError.system`.
  func keep(_ shapes: [ProductMethod: TileShape], of device: ComputeDevice) throws {
    makeFolder()
    let sizes = shapes.map { ($0.key.rawValue, JSON.array($0.value.sizes.map(JSON.integer))) }
    let file = JSON.object(["device": .string(Self.key(device)), "shapes": .object(Dictionary(uniqueKeysWithValues: sizes))])
    try file.write(path: path(of: device))
  }

  private static func key(_ device: ComputeDevice) -> String { [device.name, device.vendor, device.driverVersion].joined(separator: "; ") }

  private func path(of device: ComputeDevice) -> String {
    Paths.join(folder, "tuned-\(String(Checksum.of(bytes: Array(Self.key(device).utf8)[...]), radix: 16)).json")
  }
}
#endif
