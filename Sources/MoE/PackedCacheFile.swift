// The file of a packed layer: header, description, checksums, panels.

internal import MoECheckpoint
internal import MoEExperts
internal import MoEGroupedGEMM
internal import MoEPlacement
internal import MoETensors
internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

/// A cache file whose header fits a key; little-endian, all offsets given by the header's and the key's sizes.
///
///     0    "MoEpanel"
///     8    u32 version of this file, u32 layout of the panels
///     16   u64 bytes of the description, of the panels, checksum of the packed bytes of the checkpoint
///     40   u64 checksum of description and block checksums
///     48   u64 checksum of bytes 0 ..< 48
///     56   u64 identity of the checkpoint or 0, u64 checksum of that: the only bytes that are ever written again
///     72   the description; at the next multiple of 8 a checksum of every block of 256 KiB of panels
///     at the next multiple of 2 MiB the panels, so that they can lie in large pages
struct PackedCacheFile {
  private let file: RegularFile
  private let key: PackedCacheKey
  private let source: UInt64
  private let blocks: [UInt64]
  private let panels: Int
  /// The identity of the checkpoint that was packed, as far as known.
  let packedIdentity: UInt64?

  private static let magic = [UInt8]("MoEpanel".utf8), version: UInt32 = 1, headerBytes = 72, identityOffset = 56
  private static let blockBytes = 256 << 10, largePage = 2 << 20, gatheredBytes = 4 << 20

  /// Opens the file and compares everything but the panels.
  ///
  /// - Throws: `CheckpointError` naming what differs.
  init(path: String, key: PackedCacheKey) throws(CheckpointError) {
    file = try RegularFile(path: path)
    self.key = key
    let file = file
    func invalid(_ item: String, _ offset: Int, _ expected: some Any, _ found: some Any) -> CheckpointError {
      .invalid(file: path, item: item, offset: offset, expected: "\(expected)", found: "\(found)")
    }
    func bytes(_ count: Int, at offset: Int) throws(CheckpointError) -> [UInt8] {
      var result = [UInt8](repeating: 0, count: count), failure: CheckpointError?
      result.withUnsafeMutableBytes { memory in
        do throws(CheckpointError) { try file.read(into: memory, at: offset) } catch { failure = error }
      }
      if let failure { throw failure }
      return result
    }
    let header = try bytes(Self.headerBytes, at: 0)
    guard header.starts(with: Self.magic) else { throw invalid("magic", 0, "MoEpanel", header.prefix(8)) }
    guard header.word(48) == Checksum.of(bytes: header[..<48]) else { throw invalid("header", 0, "its checksum", "another") }
    let version = UInt32(truncatingIfNeeded: header.word(8)), layout = Int(header.word(8) >> 32)
    guard version == Self.version else {
      throw .unsupported(file: path, item: "version", offset: 8, expected: "\(Self.version)", found: "\(version)")
    }
    guard layout == PackedMatrix.panelLayout else {
      throw .unsupported(file: path, item: "layout of panels", offset: 12, expected: "\(PackedMatrix.panelLayout)", found: "\(layout)")
    }
    guard header.word(16) == UInt64(key.description.count) else { throw invalid("description", 16, key.description.count, header.word(16)) }
    guard header.word(24) == UInt64(key.byteCount) else { throw invalid("panels", 24, key.byteCount, header.word(24)) }
    let places = Places(key)
    guard file.byteCount == places.end else {
      throw .truncated(file: path, item: "file", offset: 0, expected: UInt64(places.end), found: file.byteCount)
    }
    let table = try bytes(places.tableEnd - Self.headerBytes, at: Self.headerBytes)
    guard header.word(40) == Checksum.of(bytes: table[...]) else { throw invalid("description", Self.headerBytes, "its checksum", "another") }
    guard table.starts(with: key.description) else { throw invalid("description", Self.headerBytes, "that of these weights", "another") }
    source = header.word(32)
    blocks = (0..<places.blocks).map { table.word(places.table - Self.headerBytes + 8 * $0) }
    panels = places.panels
    let identity = header.word(Self.identityOffset)
    packedIdentity = identity != 0 && header.word(64) == Self.seal(identity, of: header) ? identity : nil
  }

  /// Reads the checkpoint's bytes and compares them with those that were packed.
  ///
  /// - Throws: `.invalid` when they differ or cannot be read.
  func expect(_ plan: PanelPlan, _ backend: CPUBackend) throws(CheckpointError) {
    var found: String
    do throws(ShapeError) {
      let sum = try backend.checksum(of: plan)
      guard sum != source else { return }
      found = "bytes with checksum \(String(sum, radix: 16))"
    } catch { found = "\(error)" }
    throw .invalid(
      file: file.path, item: "source", offset: 32, expected: "a checkpoint with checksum \(String(source, radix: 16))", found: found)
  }

  /// Notes the identity that the checkpoint has now, so that it need not be compared again; a file that cannot be written stays as it is.
  func remember(_ identity: UInt64?) {
    guard let identity, let writable = try? RegularFile(path: file.path, isWritten: true), writable.isSame(as: file) else { return }
    var header = [UInt8](repeating: 0, count: Self.headerBytes), isRead = false
    header.withUnsafeMutableBytes { isRead = (try? writable.read(into: $0, at: 0)) != nil }
    if isRead { try? writable.write(UInt64.bytes([identity, Self.seal(identity, of: header)]), at: Self.identityOffset) }
  }

  /// The panels, mapped or read, after every block has been compared with its checksum, on all threads.
  ///
  /// - Parameter mode: nil for a mapping whose pages are not in memory, of panels that are copied elsewhere.
  /// - Throws: `.invalid` naming the first block that differs; `.system`, `.truncated`.
  func panels(_ mode: LoadMode?, pool: WorkerPool) throws(CheckpointError) -> (base: UnsafeRawPointer, owner: AnyObject) {
    switch mode {
    case .mapped:
      let whole = try FileBytes(file, mode: .mapped)
      whole.preferLargePages()
      let memory = UnsafeRawBufferPointer(rebasing: whole.bytes[panels...])
      try compare(pool) { range, _ throws(CheckpointError) in UnsafeRawBufferPointer(rebasing: memory[range]) }
      return (memory.baseAddress!, whole)
    case .copied:
      guard let buffer = AlignedBuffer(mapping: key.byteCount) else {
        throw .system(file: file.path, call: "mmap", code: ENOMEM)
      }
      try compare(pool) { range, _ throws(CheckpointError) in try read(range, into: buffer.bytes[range]) }
      return (UnsafeRawPointer(buffer.bytes.baseAddress!), buffer)
    case nil:
      let whole = try FileBytes(file, mode: .mapped), size = Self.blockBytes, memory = AlignedBuffer(byteCount: pool.threads * size)
      try compare(pool) { range, worker throws(CheckpointError) in
        try read(range, into: memory.bytes[worker * size..<worker * size + range.count])
      }
      return (whole.bytes.baseAddress! + panels, whole)
    }
  }

  /// Reads some bytes of the panels.
  private func read(_ range: Range<Int>, into memory: Slice<UnsafeMutableRawBufferPointer>) throws(CheckpointError) -> UnsafeRawBufferPointer {
    let memory = UnsafeMutableRawBufferPointer(rebasing: memory)
    try file.read(into: memory, at: panels + range.lowerBound)
    return UnsafeRawBufferPointer(memory)
  }

  /// Compares every block, as `fetch` gives it to a worker.
  private func compare(
    _ pool: WorkerPool, _ fetch: (_ range: Range<Int>, _ worker: Int) throws(CheckpointError) -> UnsafeRawBufferPointer
  ) throws(CheckpointError) {
    let first = Mutex<(block: Int, error: CheckpointError)?>(nil)
    pool.run(tasks: blocks.count) { index, worker in
      do throws(CheckpointError) {
        let range = Self.block(index, of: key.byteCount), block = try fetch(range, worker)
        guard Checksum.of(block, seed: UInt64(index)) == blocks[index] else {
          throw .invalid(
            file: file.path, item: "panels", offset: panels + range.lowerBound, expected: "the checksum of \(range.count) bytes", found: "another")
        }
      } catch {
        first.withLock { if $0.map({ index < $0.block }) ?? true { $0 = (index, error) } }
      }
    }
    if let error = first.withLock({ $0?.error }) { throw error }
  }

  private static func block(_ index: Int, of bytes: Int) -> Range<Int> { index * blockBytes..<min(bytes, (index + 1) * blockBytes) }

  /// Writes the file of `panels`, which came from bytes with the checksum `source`: whole and under its name, or not at all.
  ///
  /// - Throws: `CheckpointError`: no room, a folder that cannot be written, another writer, a checkpoint that has changed meanwhile.
  static func write(
    _ panels: PanelImage, source: UInt64, key: PackedCacheKey, to path: String, pool: WorkerPool
  ) throws(CheckpointError) {
    guard key.files.allSatisfy(\.isUnchanged) else {
      throw .invalid(file: path, item: "source", offset: 0, expected: "a checkpoint that stays as it is", found: "one that changed while it was packed")
    }
    let places = Places(key), file = try PartialFile(claiming: path)
    if let free = Paths.freeBytes(in: Paths.folder(of: path)), free < places.end {
      throw .invalid(file: path, item: "file", offset: 0, expected: "\(places.end) bytes of room", found: "\(free)")
    }
    let memory = AlignedBuffer(byteCount: panels.isWhole ? 0 : max(pool.threads * blockBytes, gatheredBytes))
    var blocks = [UInt64](repeating: 0, count: places.blocks)
    blocks.withUnsafeMutableBufferPointer { blocks in
      nonisolated(unsafe) let blocks = blocks
      pool.run(tasks: blocks.count) { index, worker in
        let own = UnsafeMutableRawBufferPointer(rebasing: memory.bytes.dropFirst(worker * blockBytes))
        blocks[index] = Checksum.of(panels.bytes(block(index, of: key.byteCount), gatheredIn: own), seed: UInt64(index))
      }
    }
    let gap = [UInt8](repeating: 0, count: places.table - headerBytes - key.description.count)
    let table = key.description + gap + UInt64.bytes(blocks)
    var header = magic + UInt64.bytes([
      UInt64(version) | UInt64(PackedMatrix.panelLayout) << 32, UInt64(key.description.count), UInt64(key.byteCount), source,
      Checksum.of(bytes: table[...]),
    ])
    header += UInt64.bytes([Checksum.of(bytes: header[...])])
    let identity = key.identity ?? 0
    header += UInt64.bytes([identity, seal(identity, of: header)])
    try file.write(header + table)
    try file.skip(to: places.panels)
    // In one go, or in pieces large enough for the file system's large pages.
    let step = panels.isWhole ? key.byteCount : gatheredBytes
    for first in stride(from: 0, to: key.byteCount, by: step) {
      try file.write(panels.bytes(first..<min(first + step, key.byteCount), gatheredIn: memory.bytes))
    }
    try file.seal(synced: false)
    try file.publish()
  }

  private static func seal(_ identity: UInt64, of header: [UInt8]) -> UInt64 { Checksum.of([identity, header.word(48)]) }

  /// Offsets that follow from a key.
  private struct Places {
    let table: Int, tableEnd: Int, panels: Int, end: Int, blocks: Int

    init(_ key: PackedCacheKey) {
      blocks = (key.byteCount + blockBytes - 1) / blockBytes
      table = (headerBytes + key.description.count + 7) / 8 * 8
      tableEnd = table + 8 * blocks
      panels = (tableEnd + largePage - 1) / largePage * largePage
      end = panels + key.byteCount
    }
  }
}
