// Paths and folders, without Foundation.

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

/// Path texts and the few questions asked of the file system.
package enum Paths {
  /// What a path leads to, symbolic links followed.
  package enum Kind { case file, folder, other, nothing }

  package static func kind(of path: String) -> Kind {
    var status = stat()
    guard !path.utf8.contains(0), stat(path, &status) == 0 else { return .nothing }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return .file
    case S_IFDIR: return .folder
    default: return .other
    }
  }

  /// The folder that holds `path`: "." for a bare name.
  package static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The last component.
  static func name(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
  }

  package static func join(_ folder: String, _ name: String) -> String {
    folder.hasSuffix("/") ? folder + name : folder + "/" + name
  }

  /// True for a relative path of ordinary components: neither absolute nor leading out of its folder by "..".
  static func staysInside(_ path: String) -> Bool {
    guard !path.isEmpty, !path.utf8.contains(0) else { return false }
    // An absolute path and "a//b" both show an empty component.
    return path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy {
      !$0.isEmpty && !$0.elementsEqual("..".utf8) && !$0.elementsEqual(".".utf8)
    }
  }

  /// Names in a folder, sorted.
  static func list(_ folder: String) throws(CheckpointError) -> [String] {
    guard let stream = opendir(folder) else { throw .system(file: folder, call: "opendir", code: errno) }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: pointer.pointee)) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Makes `folder` unless it is there; its parent must be.
  package static func make(_ folder: String) throws(CheckpointError) {
    if mkdir(folder, 0o755) != 0, errno != EEXIST { throw .system(file: folder, call: "mkdir", code: errno) }
  }

  /// Bytes that may still be written to the file system of `folder`; nil when it does not tell.
  package static func freeBytes(in folder: String) -> Int? {
    var status = statvfs()
    guard statvfs(folder, &status) == 0 else { return nil }
    return CheckedSize(status.f_bavail)?.times(CheckedSize(status.f_frsize) ?? .zero)?.value
  }
}
