// What the threads of a process do, as Linux tells it; nothing elsewhere.

import Foundation

enum ThreadStates {
  /// Waits until no thread of a process runs, for a second at most.
  ///
  /// - Returns: false where one still does; true also where the system does not tell.
  static func sleep(_ process: pid_t) -> Bool {
    for _ in 0..<5000 {
      // The state stands behind the name, which is in parentheses and may hold some.
      let isRunning = files("stat", process).contains { text in
        text.lastIndex(of: UInt8(ascii: ")")).map { $0 + 2 < text.count && text[$0 + 2] == UInt8(ascii: "R") } ?? false
      }
      if !isRunning { return true }
      usleep(200)
    }
    return false
  }

  /// Seconds that the threads of a process have been ready to run and had no CPU, altogether.
  static func waited(_ process: pid_t) -> Double {
    files("schedstat", process).reduce(0) { sum, text in
      let fields = String(decoding: text, as: UTF8.self).split(separator: " ")
      return sum + (fields.count > 1 ? Double(fields[1]) ?? 0 : 0) * 1e-9
    }
  }

  /// The first 256 bytes of a file of every thread.
  private static func files(_ name: String, _ process: pid_t) -> [[UInt8]] {
    guard let folder = opendir("/proc/\(process)/task") else { return [] }
    defer { closedir(folder) }
    var texts: [[UInt8]] = []
    while let entry = readdir(folder) {
      let thread = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      let file = open("/proc/\(process)/task/\(thread)/\(name)", O_RDONLY | O_CLOEXEC)
      guard file >= 0 else { continue }
      defer { close(file) }
      var bytes = [UInt8](repeating: 0, count: 256)
      let count = read(file, &bytes, bytes.count)
      if count > 0 { texts.append(Array(bytes[..<count])) }
    }
    return texts
  }
}
