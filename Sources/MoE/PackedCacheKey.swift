// What tells one layer's packed weights from all others.

internal import MoEExperts
internal import MoEGroupedGEMM
internal import MoETensors

/// The weights that a cache file has to hold.
struct PackedCacheKey {
  /// The file's name in its folder: of formats, shapes and some of the weights, so that models of equal shapes do not share it.
  let name: String
  /// Format, shape and place of every matrix, a line each.
  let description: [UInt8]
  /// Bytes of all panels.
  let byteCount: Int
  /// Of the checkpoint's files and the places of the weights in them, as the system tells; nil where it cannot tell a change.
  let identity: UInt64?
  /// The checkpoint's files.
  let files: [any FilePages]

  init(_ plan: PanelPlan) {
    let packed = plan.packed
    let lines = packed.map { matrix, place in "\(matrix.format.name) \(matrix.rows)x\(matrix.columns) at \(place), \(matrix.panelBytes)\n" }
    description = Array(lines.joined().utf8)
    byteCount = plan.byteCount
    let samples = stride(from: 0, to: packed.count, by: max(1, packed.count / 64)).map { index in
      let matrix = packed[index].matrix, row = matrix.rows / 2
      // Touching one page maps its neighbours too.
      defer { matrix.giveBack(0..<matrix.rows) }
      return Checksum.of(UnsafeRawBufferPointer(rebasing: matrix.codes(row..<row + 1).prefix(64)))
    }
    let sum = Checksum.of([description.withUnsafeBytes { Checksum.of($0) }] + samples)
    name = String(repeating: "0", count: sum.leadingZeroBitCount / 4) + (sum == 0 ? "" : String(sum, radix: 16)) + ".panels"
    var words: [UInt64]? = [], files: [ObjectIdentifier: any FilePages] = [:]
    for (matrix, _) in packed {
      guard let places = matrix.places else {
        words = nil
        continue
      }
      for place in places {
        words?.append(contentsOf: place.identity.words + [UInt64(place.offset)])
        files[ObjectIdentifier(place.file)] = place.file
      }
    }
    // 0 stands for an unknown identity in files.
    identity = words.map { max(1, Checksum.of($0)) }
    self.files = Array(files.values)
  }
}

extension FileIdentity {
  fileprivate var words: [UInt64] { [device, inode] + [bytes, modified, changed].map(UInt64.init(bitPattern:)) }
}
