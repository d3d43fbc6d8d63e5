// A child process that answers lines with lines, until a deadline.

import Foundation

/// One running program; ended when it is let go.
final class ChildProcess {
  let id: pid_t
  private let socket: Int32
  private let errors: Int32
  private var unread: [UInt8] = []
  private var isOver = false

  /// - Parameters:
  ///   - words: the program, found in PATH, and its arguments.
  ///   - environment: added to this process's.
  ///   - files: what the child finds under the numbers 3, 4 and so on.
  /// - Throws: `Failure` when the program cannot be started.
  init(_ words: [String], environment: [String: String] = [:], files: [Int32] = []) throws {
    var pair: [Int32] = [-1, -1]
    #if os(Linux)
      let stream = Int32(SOCK_STREAM.rawValue)
    #else
      let stream = SOCK_STREAM
    #endif
    guard socketpair(AF_UNIX, stream, 0, &pair) == 0 else { throw Failure("\(words[0]): no socket: \(String(cString: strerror(errno)))") }
    // Above the numbers that the child gets its files under, and closed in every other child.
    let ends = pair.map { fcntl($0, F_DUPFD_CLOEXEC, 64) }, nameless = SharedMemory.nameless()
    pair.forEach { close($0) }
    socket = ends[0]
    errors = fcntl(nameless, F_DUPFD_CLOEXEC, 64)
    close(nameless)
    #if !os(Linux)
      var yes: Int32 = 1
      setsockopt(socket, SOL_SOCKET, SO_NOSIGPIPE, &yes, socklen_t(MemoryLayout<Int32>.size))
    #endif
    defer { close(ends[1]) }

    #if os(Linux)
      var actions = posix_spawn_file_actions_t()
    #else
      var actions: posix_spawn_file_actions_t?
    #endif
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (number, file) in ([ends[1], ends[1], errors] + files).enumerated() { posix_spawn_file_actions_adddup2(&actions, file, Int32(number)) }
    let merged = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    var variables: [UnsafeMutablePointer<CChar>?] = merged.map { strdup("\($0)=\($1)") } + [nil]
    defer { (arguments + variables).forEach { free($0) } }
    var started: pid_t = 0
    let status = posix_spawnp(&started, words[0], &actions, nil, &arguments, &variables)
    id = started
    guard status == 0 else {
      isOver = true
      throw Failure("\(words[0]) cannot be started: \(String(cString: strerror(status)))")
    }
  }

  deinit {
    end()
    close(socket)
    close(errors)
  }

  /// The child's next line.
  ///
  /// - Throws: `Failure` when it ended, with the last words it wrote to standard error, or said nothing for so long; it is then over.
  func line(within seconds: Double) throws -> String {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while true {
      if let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: unread[..<end], as: UTF8.self)
        unread.removeFirst(end + 1)
        return line
      }
      guard !isOver else { throw Failure("has ended") }
      var watched = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
      let left = (deadline - ContinuousClock.now) / .milliseconds(1)
      let ready = poll(&watched, 1, Int32(max(0, min(left, 1e9)).rounded(.up)))
      if ready < 0, errno == EINTR { continue }
      guard ready > 0 else {
        kill(id, SIGKILL)
        _ = reap()
        throw Failure("gave no answer in \(fixed(seconds, 0)) s" + lastWords)
      }
      var bytes = [UInt8](repeating: 0, count: 1 << 16)
      let count = recv(socket, &bytes, bytes.count, 0)
      if count < 0, errno == EINTR { continue }
      guard count > 0, unread.count < 1 << 24 else {
        kill(id, SIGKILL)
        throw Failure(reap() + lastWords)
      }
      unread += bytes[..<count]
    }
  }

  /// - Throws: as `line(within:)` when it has ended.
  func send(_ line: String) throws {
    #if os(Linux)
      let flags = Int32(MSG_NOSIGNAL)
    #else
      let flags: Int32 = 0
    #endif
    let bytes = Array((line + "\n").utf8)
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { Foundation.send(socket, $0.baseAddress! + done, bytes.count - done, flags) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Failure(reap() + lastWords) }
      done += count
    }
  }

  /// Ends the child, whatever it is doing.
  func end() {
    guard !isOver else { return }
    kill(id, SIGKILL)
    _ = reap()
  }

  /// How the child ended, once it has.
  private func reap() -> String {
    guard !isOver else { return "has ended" }
    isOver = true
    var status: Int32 = 0
    while waitpid(id, &status, 0) < 0, errno == EINTR {}
    let signal = status & 0x7f
    return signal == 0 ? "ended with exit code \(status >> 8 & 0xff)" : "was ended by signal \(signal)"
  }

  /// The last line on the child's standard error, if there is one.
  private var lastWords: String {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let size = lseek(errors, 0, SEEK_END), start = max(0, size - off_t(bytes.count))
    let count = pread(errors, &bytes, bytes.count, start)
    guard count > 0 else { return "" }
    let line = String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n").last { $0.contains { !$0.isWhitespace } }
    return line.map { ": \($0.trimmingCharacters(in: .whitespaces).prefix(300))" } ?? ""
  }
}
