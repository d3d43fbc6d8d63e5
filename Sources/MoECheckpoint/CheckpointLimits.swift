// The ceilings a checkpoint must keep to, far above every published model.

/// Hard limits of the readers; a file beyond one is refused with `CheckpointError.limit`.
public enum CheckpointLimits {
  /// Bytes of a safetensors header, as in the Rust reader, and of an index file.
  public static let headerBytes = 100_000_000
  /// Tensors of one file.
  public static let tensors = 1 << 20
  /// Metadata entries of one GGUF file.
  public static let keys = 1 << 20
  /// Bytes of one string.
  public static let stringBytes = 16 << 20
  /// Bytes of one GGUF key, as the specification says.
  public static let keyBytes = 65_535
  /// Elements of one GGUF array.
  public static let arrayElements = 64 << 20
  /// Arrays within arrays in GGUF metadata.
  public static let arrayNesting = 4
  /// Dimensions of a safetensors tensor.
  public static let rank = 8
  /// Dimensions of a GGUF tensor.
  public static let ggufRank = 4
  /// Bytes `general.alignment` may ask for.
  public static let alignment = 1 << 20
  /// Bytes of a `config.json`.
  public static let configBytes = 16 << 20
  /// Digits and signs of one number in JSON.
  public static let numberBytes = 1024
}
