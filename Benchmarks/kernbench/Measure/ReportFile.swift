// Files that reports go to at the end of a long run: tried before it, written whole or not at all.

import Foundation

/// One file of a report.
struct ReportFile {
  let path: String
  /// Where a symbolic link leads.
  private let target: String

  /// Tries the path before anything is measured.
  ///
  /// - Throws: `Failure` when a report could not be written there.
  init(_ path: String) throws {
    self.path = path
    guard !path.isEmpty else { throw Failure("an empty path cannot be written") }
    let resolved = realpath(path, nil)
    defer { free(resolved) }
    target = resolved.map { String(cString: $0) } ?? path
    var status = stat()
    if stat(path, &status) == 0 {
      if status.st_mode & S_IFMT == S_IFDIR { throw Failure("\(path) cannot be written: it is a folder") }
      guard access(path, W_OK) == 0 else { throw cannot(errno) }
      if status.st_mode & S_IFMT != S_IFREG { return }
    }
    close(try openPartial())
    unlink(partial)
  }

  /// Writes the text whole, in place of what was there, or leaves that as it was; to a device or pipe it goes as it comes.
  func write(_ text: String) throws {
    var status = stat()
    let isThere = stat(path, &status) == 0
    guard isThere, status.st_mode & S_IFMT != S_IFREG else { return try replace(with: text, mode: isThere ? status.st_mode & 0o777 : nil) }
    let descriptor = open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw cannot(errno) }
    defer { close(descriptor) }
    try write(text, to: descriptor)
  }

  private func replace(with text: String, mode: mode_t?) throws {
    let descriptor = try openPartial()
    do {
      defer { close(descriptor) }
      if let mode { fchmod(descriptor, mode) }
      try write(text, to: descriptor)
      guard fsync(descriptor) == 0 else { throw cannot(errno) }
    } catch {
      unlink(partial)
      throw error
    }
    guard rename(partial, target) == 0 else {
      let status = errno
      unlink(partial)
      throw cannot(status)
    }
  }

  private func write(_ text: String, to descriptor: Int32) throws {
    let bytes = Array(text.utf8)
    try bytes.withUnsafeBytes { bytes in
      var done = 0
      while done < bytes.count {
        let count = Foundation.write(descriptor, bytes.baseAddress! + done, bytes.count - done)
        guard count >= 0 else {
          if errno == EINTR { continue }
          throw cannot(errno)
        }
        done += count
      }
    }
  }

  private var partial: String { "\(target).\(getpid()).partial" }

  private func openPartial() throws -> Int32 {
    let descriptor = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o666)
    guard descriptor >= 0 else { throw cannot(errno) }
    return descriptor
  }

  private func cannot(_ status: Int32) -> Failure { Failure("\(path) cannot be written: \(String(cString: strerror(status)))") }
}

/// The files of one run.
struct ReportFiles {
  private let json: ReportFile?
  private let csv: ReportFile?
  private let html: ReportFile?

  /// - Throws: `Failure` when one of them could not be written, or two are the same.
  init(json: String?, csv: String? = nil, html: String?) throws {
    self.json = try json.map(ReportFile.init)
    self.csv = try csv.map(ReportFile.init)
    self.html = try html.map(ReportFile.init)
    let paths = [json, csv, html].compactMap { $0 }
    for (index, path) in paths.enumerated() where !path.hasPrefix("/dev/") && paths[..<index].contains(path) {
      throw Failure("\(path) cannot be two reports at once")
    }
  }

  /// Writes every report; one that fails does not keep the others from being written.
  ///
  /// - Throws: `Failure` naming each path that could not be written.
  func write(_ results: Results) throws {
    try write(json: results.json, csv: Row.csv(results.rows), html: HTMLReport(results).text)
  }

  /// As above, of these texts.
  func write(
    json jsonText: @autoclosure @escaping () -> String, csv csvText: @autoclosure @escaping () -> String,
    html htmlText: @autoclosure @escaping () -> String
  ) throws {
    let texts = [(json, jsonText), (csv, csvText), (html, htmlText)]
    let failures = Interrupts.held {
      texts.compactMap { file, text -> String? in
        do { try file?.write(text()) } catch { return "\(error)" }
        return nil
      }
    }
    guard failures.isEmpty else { throw Failure(failures.joined(separator: "; ")) }
  }
}
