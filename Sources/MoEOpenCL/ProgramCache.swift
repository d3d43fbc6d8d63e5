// A folder of compiled OpenCL programs, private to the user.

internal import MoECheckpoint
internal import MoETensors

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

/// A folder where compiled programs are kept, one file a program, named after a checksum of what it was compiled from: source, options, device,
/// platform and versions of both.
///
/// A file holds that text too, and a checksum of all of it: one that differs, or is damaged, is compiled and written anew. Binaries are
/// code: a folder that is not the user's own, or that others may write or read, is not used. Several processes may share the folder.
/// Whatever goes wrong with a file, programs are compiled from source.
public struct ProgramCache: Sendable, Hashable {
  /// Where the files are.
  public let folder: String

  /// The cache in `folder`, which is made, with access for the user alone, when a program is first written.
  public init(folder: String) { self.folder = folder }

  /// `swift-moe-kernels/opencl` in the user's folder of caches (`XDG_CACHE_HOME`, or `~/.cache`); nil where there is none.
  public static var user: ProgramCache? {
    func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) }.flatMap { $0.hasPrefix("/") ? $0 : nil } }
    guard let caches = variable("XDG_CACHE_HOME") ?? variable("HOME").map({ Paths.join($0, ".cache") }) else { return nil }
    return ProgramCache(folder: Paths.join(Paths.join(caches, "swift-moe-kernels"), "opencl"))
  }

  private static let magic = [UInt8]("MoEcl001".utf8), headerBytes = 32, largest = 256 << 20

  /// The binary that was kept for `key`; nil when there is none that can be trusted.
  func binary(for key: String) -> [UInt8]? {
    guard isPrivate, let file = try? RegularFile(path: path(of: key)), file.byteCount > Self.headerBytes, file.byteCount <= Self.largest else {
      return nil
    }
    var bytes = [UInt8](repeating: 0, count: Int(file.byteCount)), isRead = false
    bytes.withUnsafeMutableBytes { isRead = (try? file.read(into: $0, at: 0)) != nil }
    let text = [UInt8](key.utf8)
    guard isRead, bytes.starts(with: Self.magic), bytes.word(8) == UInt64(text.count), bytes.word(16) == UInt64(bytes.count),
      bytes.word(24) == Checksum.of(bytes: bytes[Self.headerBytes...]), bytes.count > Self.headerBytes + text.count,
      bytes[Self.headerBytes...].starts(with: text)
    else { return nil }
    return Array(bytes[(Self.headerBytes + text.count)...])
  }

  /// Keeps `binary` for `key`, unless another process is doing so.
  func keep(_ binary: [UInt8], for key: String) {
    makeFolder()
    guard isPrivate, !binary.isEmpty else { return }
    let text = [UInt8](key.utf8), body = text + binary
    let header = Self.magic + UInt64.bytes([UInt64(text.count), UInt64(Self.headerBytes + body.count), Checksum.of(bytes: body[...])])
    guard let file = try? PartialFile(claiming: path(of: key)) else { return }
    guard (try? file.write(header + body)) != nil, (try? file.seal(synced: false)) != nil else { return }
    try? file.publish()
  }

  private func path(of key: String) -> String {
    var key = key
    return key.withUTF8 { bytes in
      let name = [0, 1].map { Checksum.of(UnsafeRawBufferPointer(bytes), seed: $0) }.map { String($0, radix: 16) }.joined(separator: "-")
      return Paths.join(folder, name + ".program")
    }
  }

  /// True when the folder is the user's and nobody else's.
  var isPrivate: Bool {
    var status = stat()
    return lstat(folder, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR && status.st_uid == geteuid() && status.st_mode & 0o077 == 0
  }

  func makeFolder() {
    var missing: [String] = [], next = folder
    while Paths.kind(of: next) == .nothing, next != Paths.folder(of: next) {
      missing.append(next)
      next = Paths.folder(of: next)
    }
    for folder in missing.reversed() { mkdir(folder, 0o700) }
  }
}
