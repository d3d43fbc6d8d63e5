// Where the bytes of a packed matrix come from, for whoever reads them once: files, their identities, checksums.

package import CMoEKernels
package import MoETensors

extension PackedMatrix {
  /// Number of the layout of panels that this version reads and writes.
  package static var panelLayout: Int { Int(MOE_PANEL_LAYOUT) }

  /// Keeps the codes where they are.
  package var holder: AnyObject { owner }

  /// The file that the codes lie in; nil when they lie in memory.
  package var file: (any FilePages)? { owner as? any FilePages }

  /// Bytes from the first code of rows [lower, upper) to their last, with what lies between rows that do not touch.
  package func codes(_ rows: Range<Int>) -> UnsafeRawBufferPointer {
    let between = rowBytes - columns / format.blockValues * format.blockBytes
    return UnsafeRawBufferPointer(start: data + rows.lowerBound * rowBytes, count: rows.isEmpty ? 0 : rows.count * rowBytes - between)
  }

  /// The matrix as the kernels take it, of which only row `first` and those after it are there, at `codes`.
  package func borrowed(from first: Int, codes: UnsafeRawPointer) -> moe_matrix {
    var matrix = borrowed
    matrix.data = codes - first * rowBytes
    return matrix
  }

  /// Checksum of the scales; nil where there are none beside the codes.
  package var scaleChecksum: UInt64? { scales?.checksum }

  /// Lets the system take back pages of rows that were read, where they can be read again from a file.
  package func giveBack(_ rows: Range<Int>) {
    file?.giveBack(bytes(of: rows))
    guard let scales, let file = scales.owner as? any FilePages, scales.groupRows == 1, !scales.isFlat else { return }
    let first = rows.lowerBound * scales.stride, end = min(rows.upperBound * scales.stride, scales.span)
    if first < end { file.giveBack(UnsafeRawBufferPointer(start: scales.values + first * scales.width, count: (end - first) * scales.width)) }
  }

  /// Files and places that codes and scales lie in; nil when some part lies in no file, or in one that was changed a moment before it was opened.
  package var places: [FilePlace]? {
    var parts = [(owner, data)]
    if let scales {
      guard scales.zeros == nil else { return nil }
      parts.append((scales.owner, scales.values))
    }
    var places: [FilePlace] = []
    for (owner, address) in parts {
      guard let file = owner as? any FilePages, let identity = file.identity else { return nil }
      places.append(FilePlace(file: file, identity: identity, offset: file.offset(of: address)))
    }
    return places
  }
}

/// A place in a file as it was opened.
package struct FilePlace {
  package let file: any FilePages
  package let identity: FileIdentity
  package let offset: Int
}

extension ScalePlane {
  /// Checksum of scales with what lies between them, zero points and the factor common to all.
  var checksum: UInt64 {
    let scales = Checksum.of(UnsafeRawBufferPointer(start: values, count: span * width), seed: UInt64(global.bitPattern))
    return zeros.map { Checksum.of([scales, Checksum.of(UnsafeRawBufferPointer($0.bytes))]) } ?? scales
  }
}
