// Reports of a run: the machine and its rows, as JSON and CSV files.

import Foundation
import MoE

/// The machine as reports describe it.
struct MachineReport {
  let machine: Machine
  let peaks: Peaks
  let seed: UInt64

  var line: String {
    var parts = [
      machine.topology.cpuModel, machine.kernels.name, "\(machine.pool.threads) thread\(machine.pool.threads == 1 ? "" : "s")",
      "read \(fixed(peaks.readGBps, 1)) GB/s", "fma \(fixed(peaks.fmaGflops, 1)) GFLOP/s",
    ]
    let int8 = [peaks.int8Gops, peaks.int8WideGops].map { $0.map { fixed($0, 0) } ?? "-" }
    if int8 != ["-", "-"] { parts.append("int8 \(int8[0]), \(int8[1]) Gop/s") }
    return parts.joined(separator: ", ") + ", seed \(seed)"
  }

  var report: JSON {
    let devices = (try? OpenCL.devices()) ?? []
    return .object([
      "cpu": .string(machine.topology.cpuModel), "isa": .string(machine.kernels.name), "threads": .integer(machine.pool.threads),
      "readGBps": .number(peaks.readGBps), "fmaGflops": .number(peaks.fmaGflops), "int8Gops": peaks.int8Gops.map(JSON.number) ?? .null,
      "int8WideGops": peaks.int8WideGops.map(JSON.number) ?? .null, "seed": .integer(Int(truncatingIfNeeded: seed)),
      "openclDevices": .array(devices.map { .string("\($0)") }),
    ])
  }

  func json(_ rows: [Row]) -> String {
    JSON.object(["machine": report, "rows": .array(rows.map(\.report))]).serialized(pretty: true) + "\n"
  }
}

/// A file that a report goes to at the end of a long run.
struct ReportFile {
  let path: String

  /// Tries the path before anything is measured.
  ///
  /// - Throws: `Failure` when a report could not be written there.
  init(_ path: String) throws {
    self.path = path
    var status = stat()
    if stat(path, &status) == 0 {
      if status.st_mode & S_IFMT == S_IFDIR { throw Failure("\(path) cannot be written: it is a folder") }
      guard access(path, W_OK) == 0 else { throw Failure("\(path) cannot be written: \(String(cString: strerror(errno)))") }
      if status.st_mode & S_IFMT != S_IFREG { return }
    }
    let probe = path + ".partial", descriptor = open(probe, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o644)
    guard descriptor >= 0 else { throw Failure("\(path) cannot be written: \(String(cString: strerror(errno)))") }
    close(descriptor)
    unlink(probe)
  }

  /// Writes the text whole or not at all; to a device or pipe, as it comes.
  func write(_ text: String) throws {
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
      guard let file = FileHandle(forWritingAtPath: path) else { throw Failure("\(path) cannot be opened") }
      try file.write(contentsOf: Data(text.utf8))
      return
    }
    do { try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic) } catch {
      throw Failure("\(path) cannot be written: \(error.localizedDescription)")
    }
  }
}
