// Where a topology comes from, and why there is none.

/// Where a topology was read from.
public enum TopologySource: Sendable, Hashable {
  /// The machine the process runs on.
  case machine
  /// An hwloc synthetic description, such as "pack:2 numa:2 core:4 pu:2".
  case synthetic(String)
  /// An XML file written by `lstopo`.
  case xml(path: String)
}

/// Why a topology could not be read.
public enum TopologyError: Error, Sendable, Hashable, CustomStringConvertible {
  /// hwloc does not understand the description.
  case malformed(synthetic: String)
  /// The XML file is missing or is no topology.
  case unreadable(xmlPath: String)
  /// An hwloc call failed with this errno.
  case failed(call: String, status: Int32)
  /// The package was built without the trait `Hwloc`.
  case needsHwloc

  public var description: String {
    switch self {
    case .malformed(let text): "malformed synthetic topology \"\(text)\""
    case .unreadable(let path): "unreadable topology file \(path)"
    case .failed(let call, let status): "\(call) failed, errno \(status)"
    case .needsHwloc: "built without the trait Hwloc"
    }
  }
}
