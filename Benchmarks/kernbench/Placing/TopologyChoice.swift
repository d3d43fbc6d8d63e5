// A machine given in words: this one, a synthetic description, or an XML file.

import ArgumentParser
import Foundation
import MoE

struct TopologyChoice: ParsableArguments {
  @Option(help: "A machine in hwloc's synthetic words, \"pack:2 numa:2 core:24 pu:1\", or an XML file of lstopo; this machine by default.")
  var topology: String?

  /// The topology, and what was added to the words.
  func read() throws -> (topology: Topology, notes: [String]) {
    guard let topology else { return (.current(withPCIDevices: true), []) }
    if topology.hasSuffix(".xml") || FileManager.default.fileExists(atPath: topology) { return (try Topology(xmlPath: topology), []) }
    let last = topology.split(separator: " ").last.map(String.init) ?? ""
    if last.isEmpty || last.lowercased().hasPrefix("pu:") { return (try Topology(synthetic: topology), []) }
    return (try Topology(synthetic: topology + " pu:1"), ["the description does not end in pu:N: pu:1 was appended"])
  }
}

/// Bytes in words: "64GiB", "80GB", "1073741824".
func byteCount(_ text: String, _ option: String) throws -> Int {
  let units = ["": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KIB": 0x1p10, "MIB": 0x1p20, "GIB": 0x1p30, "TIB": 0x1p40]
  let number = text.prefix { $0.isNumber || $0 == "." }, unit = text.dropFirst(number.count).trimmingCharacters(in: .whitespaces).uppercased()
  guard let value = Double(number), let factor = units[unit], value * factor >= 1, value * factor < 0x1p60 else {
    throw Failure("\(option) \(text): expected bytes, such as 64GiB or 80GB")
  }
  return Int(value * factor)
}
