// `--packed-cache`: where packed weights are kept, in the words of the command line, and what came of it.

import ArgumentParser
import MoE

/// A folder that was named, and how its files come into memory.
struct PackedCacheChoice: ParsableArguments {
  @Option(name: .customLong("packed-cache"), help: "Keeps packed weights in this folder for the next time.") var folder: String?
  @Option(help: "How files of the packed cache come into memory: mapped or copied.") var cacheMode = "mapped"

  /// - Throws: `Failure` for a mode that is none, `MoEError` for a folder that cannot be.
  var cache: PackedCache? {
    get throws {
      guard let mode = ["mapped": LoadMode.mapped, "copied": .copied][cacheMode] else {
        throw Failure("--cache-mode \(cacheMode): expected mapped or copied")
      }
      return try folder.map { try PackedCache(folder: $0, mode: mode) }
    }
  }

  /// The same for these layers.
  ///
  /// - Throws: `Failure` also for a layer that is no checkpoint: its weights are made, not loaded.
  func cache(for layers: [BenchmarkedLayer]) throws -> PackedCache? {
    guard let cache = try cache else { return nil }
    for case .preset(let preset, _) in layers { throw Failure("--packed-cache goes with the path of a checkpoint, not with '\(preset.name)'") }
    return cache
  }
}

extension PackedCache.Report {
  /// What happened, a line each.
  var lines: [String] {
    var lines: [String] = []
    if let refused { lines.append("packed cache: not used: \(refused)") }
    switch source {
    case .read: lines.append("packed cache: read from \(path)" + (comparedSource ? ", after comparing the checkpoint" : ""))
    case .packed: lines.append("packed cache: written to \(path)")
    case .packedOnly(let error): lines.append("packed cache: not written: \(error)")
    }
    return lines
  }
}
