// Where tensors come from, whatever the container.

public import MoETensors

/// Named tensors of an opened checkpoint.
public protocol TensorSource: Sendable {
  /// Every name, once, in the order of the bytes in the file.
  var tensorNames: [String] { get }
  /// The tensor called `name`, nil when there is none; the view keeps the file's bytes alive.
  ///
  /// - Throws: `CheckpointError.invalid` when type, shape and bytes do not agree.
  func tensor(_ name: String) throws(CheckpointError) -> TensorView?
  /// Path and container, for messages.
  var fileDescription: String { get }
}
