// What can go wrong between a checkpoint and a layer's output.

public import MoECheckpoint
public import MoEPlacement
public import MoERouting
public import MoETensors

/// Every error of the package's layer interface; each names the values at fault.
public enum MoEError: Error, CustomStringConvertible {
  /// A file could not be read.
  case checkpoint(CheckpointError)
  /// A tensor or an argument has another shape or type than it must have.
  case shape(ShapeError)
  /// The router's record, input or assignments are wrong.
  case routing(RoutingError)
  /// No family of the package describes this model; what it holds that looks like experts.
  case unknownFamily(model: String, keys: [String], tensors: [String])
  /// The configuration lacks a key that has no default.
  case missingKey(String, family: String)
  /// A configuration value that the family cannot have.
  case badValue(key: String, value: String, reason: String)
  /// A tensor the family must have is not in the checkpoint.
  case missingTensor(String, file: String)
  /// Weights stored in a way the package does not read.
  case unsupportedQuantization(String)
  /// The checkpoint has no such MoE layer.
  case noSuchLayer(String, found: [String])
  /// Rows of another width or number than asked for.
  case rows(expected: [Int], found: [Int])
  /// A machine resource: threads, devices.
  case machine(String)
  /// A placement that is none for this layer and machine.
  case placement(PlacementError)
  /// A call into OpenCL failed; the same weights may be computed on the CPU.
  case openCL(OpenCLError)
  /// Another call is using the workspace.
  case workspaceInUse

  public var description: String {
    switch self {
    case .checkpoint(let error): "\(error)"
    case .shape(let error): "\(error)"
    case .routing(let error): "\(error)"
    case .unknownFamily(let model, let keys, let tensors):
      "unknown model family '\(model)'; not understood: keys \(keys.prefix(12).joined(separator: ", ")); tensors \(tensors.prefix(12).joined(separator: ", "))"
    case .missingKey(let key, let family): "configuration of \(family): key '\(key)' is missing and has no default"
    case .badValue(let key, let value, let reason): "configuration: '\(key)' is \(value): \(reason)"
    case .missingTensor(let name, let file): "\(file): tensor '\(name)' is missing"
    case .unsupportedQuantization(let reason): "quantization: \(reason)"
    case .noSuchLayer(let layer, let found):
      "no MoE layer \(layer); found \(found.isEmpty ? "none" : found.prefix(8).joined(separator: ", ") + (found.count > 8 ? ", .. (\(found.count))" : ""))"
    case .rows(let expected, let found): "expected rows of shape \(expected), found \(found)"
    case .machine(let reason): reason
    case .placement(let error): "\(error)"
    case .openCL(let error): "\(error)"
    case .workspaceInUse: "the workspace is in use by another call; a workspace serves one call at a time"
    }
  }

  /// Runs `body`, turning a checkpoint's error into this type.
  static func reading<T>(_ body: () throws(CheckpointError) -> T) throws(MoEError) -> T {
    do { return try body() } catch { throw .checkpoint(error) }
  }

  /// Runs `body`, turning a shape error into this type.
  package static func shaping<T>(_ body: () throws(ShapeError) -> T) throws(MoEError) -> T {
    do { return try body() } catch { throw .shape(error) }
  }

  /// Runs `body`, turning a placement's error into this type.
  package static func placing<T>(_ body: () throws(PlacementError) -> T) throws(MoEError) -> T {
    do { return try body() } catch { throw .placement(error) }
  }

  /// Runs `body`, turning a device's error into this type.
  package static func computing<T>(_ body: () throws(OpenCLError) -> T) throws(MoEError) -> T {
    do { return try body() } catch { throw .openCL(error) }
  }

  /// Runs `body`, turning a routing error into this type.
  package static func routing<T>(_ body: () throws(RoutingError) -> T) throws(MoEError) -> T {
    do { return try body() } catch { throw .routing(error) }
  }
}
