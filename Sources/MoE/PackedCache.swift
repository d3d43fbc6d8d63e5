// A folder of packed weights: written when a layer is first made, read the next time.

public import MoECheckpoint
internal import MoEExperts
internal import MoEGroupedGEMM
internal import MoETensors

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

/// A folder where layers keep their panels, one file a layer, so that a layer made again reads them instead of packing.
///
/// A file is used only when it holds the panels of exactly these weights: layout of panels, formats and shapes are in it, and the
/// checkpoint must be the file it was packed from, by the system's word (device, inode, size, times of change) or, where that differs,
/// by a checksum of the layer's bytes in it. Its own bytes are compared with their checksums before a weight is used. Whatever does not
/// fit is packed anew and replaced; a folder or disk that cannot be written leaves the layer as it is without a cache. Several
/// processes may share the folder. Files that are no longer used stay: the folder can be emptied at any time.
public struct PackedCache: Sendable, Hashable {
  /// Where the files are.
  public let folder: String
  /// `.mapped` shares the memory of all processes that use a file, in large pages where the file system has them; `.copied` reads it
  /// into large pages of the process's own.
  public let mode: LoadMode

  /// The cache in `folder`, which is made if it is not there; its parent must be.
  ///
  /// - Throws: `MoEError.checkpoint` when `folder` is no folder or cannot be made.
  public init(folder: String, mode: LoadMode = .mapped) throws(MoEError) {
    do throws(CheckpointError) {
      guard !folder.isEmpty, !folder.utf8.contains(0) else {
        throw .invalid(file: folder, item: "path", offset: 0, expected: "a folder", found: "'\(folder)'")
      }
      if Paths.kind(of: folder) == .nothing { try Paths.make(folder) }
      guard Paths.kind(of: folder) == .folder else {
        throw .invalid(file: folder, item: "path", offset: 0, expected: "a folder", found: "another file")
      }
    } catch { throw .checkpoint(error) }
    self.folder = folder
    self.mode = mode
  }

  /// What the cache did for one layer.
  public struct Report: Sendable, Equatable {
    /// Where the weights came from.
    public enum Source: Sendable, Equatable {
      /// From the file.
      case read
      /// From the checkpoint; the file was written.
      case packed
      /// From the checkpoint; the file could not be written.
      case packedOnly(CheckpointError)
    }

    /// The layer's file.
    public let path: String
    /// Where the weights came from.
    public let source: Source
    /// Why a file that was there was not used; nil when it was, or there was none.
    public let refused: CheckpointError?
    /// True when the checkpoint's bytes were read to compare them: it is not the file, or not in the state, that was packed.
    public let comparedSource: Bool
  }

  /// The matrices of `plan` in panels: mapped or read from its file, or packed, which makes the file.
  ///
  /// - Parameter place: copies or packs the plan's matrices to where they are to lie, from a file that then is not mapped; nil for one place.
  /// - Throws: `ShapeError` when there is no memory for the panels.
  func panels(
    of plan: PanelPlan, by backend: CPUBackend, placing place: (([PackedMatrix]) throws(ShapeError) -> [PackedMatrix])? = nil
  ) throws(ShapeError) -> (matrices: [PackedMatrix], report: Report) {
    let key = PackedCacheKey(plan), path = Paths.join(folder, key.name)
    var refused: CheckpointError?, compared = false
    do throws(CheckpointError) {
      let file = try PackedCacheFile(path: path, key: key)
      if file.packedIdentity != key.identity || key.identity == nil {
        compared = true
        try file.expect(plan, backend)
        file.remember(key.identity)
      }
      let (base, owner) = try file.panels(place == nil ? mode : nil, pool: backend.pool)
      var matrices = plan.matrices(at: base, owner: owner)
      if let place {
        do throws(ShapeError) { matrices = try place(matrices) } catch {
          throw .invalid(file: path, item: "panels", offset: 0, expected: "panels that can be copied", found: "\(error)")
        }
      }
      return (matrices, Report(path: path, source: .read, refused: nil, comparedSource: compared))
    } catch {
      if !error.isAbsence { refused = error }
    }
    var sum: UInt64 = 0
    let image: PanelImage, matrices: [PackedMatrix]
    if let place {
      matrices = try place(plan.matrices)
      image = PanelImage(of: matrices, in: plan)
      sum = try backend.checksum(of: plan)
    } else {
      let buffer = try backend.pack(plan, checksum: &sum)
      matrices = plan.matrices(at: buffer.bytes.baseAddress!, owner: buffer)
      image = PanelImage(UnsafeRawBufferPointer(buffer.bytes), owner: buffer)
    }
    var source = Report.Source.packed
    do throws(CheckpointError) {
      try PackedCacheFile.write(image, source: sum, key: key, to: path, pool: backend.pool)
    } catch { source = .packedOnly(error) }
    return (matrices, Report(path: path, source: source, refused: refused, comparedSource: compared))
  }
}

extension CheckpointError {
  /// True when the file is simply not there.
  fileprivate var isAbsence: Bool {
    if case .system(_, "open", ENOENT) = self { true } else { false }
  }
}
