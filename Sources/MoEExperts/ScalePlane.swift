// Scales and zero points that lie beside the codes of a packed matrix.

internal import CMoEKernels
internal import MoETensors

/// A plane of scales: one for `group` neighbouring columns of `groupRows` neighbouring rows.
public struct ScalePlane: @unchecked Sendable {
  /// How one scale is stored.
  public enum Kind: Sendable { case f32, f16, bf16, e4m3, e8m0 }

  /// Element type of the scales.
  public let kind: Kind
  /// Columns that share a scale.
  public let group: Int
  /// Rows that share a scale.
  public let groupRows: Int
  /// Scales from one row of groups to the next.
  public let stride: Int
  /// True when groups run over the flattened matrix and may straddle rows (bitsandbytes).
  public let isFlat: Bool
  /// Multiplies every scale, in f32.
  public let global: Float
  let count: Int
  /// Elements from the first scale to the last: more than `count` where rows of several planes take turns.
  let span: Int
  let values: UnsafeRawPointer
  let owner: AnyObject
  let zeros: AlignedBuffer?

  /// Borrows the scales of `view`; `zeros` has one byte a scale, subtracted from the code.
  ///
  /// - Parameter count: how many of the elements are the plane's; nil for all.
  /// - Throws: `ShapeError` when the elements cannot be scales.
  init(
    _ view: TensorView, count: Int? = nil, group: Int, groupRows: Int = 1, stride: Int, isFlat: Bool = false, global: Float = 1,
    zeros: AlignedBuffer? = nil
  ) throws(ShapeError) {
    switch view.type {
    case .f32: kind = .f32
    case .f16: kind = .f16
    case .bf16: kind = .bf16
    case .e8m0: kind = .e8m0
    case .weights(let format) where format.name == "f8_e4m3": kind = .e4m3
    default: throw ShapeError(tensor: view.name, reason: "holds \(view.type), which is no scale type")
    }
    self.group = group
    self.groupRows = groupRows
    self.stride = stride
    self.isFlat = isFlat
    self.global = global
    self.count = count ?? view.count
    span = view.count
    self.values = UnsafeRawPointer(view.bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 64)!)
    self.owner = view.owner
    self.zeros = zeros
  }

  /// Bytes of one scale.
  var width: Int { switch kind { case .f32: 4; case .f16, .bf16: 2; case .e4m3, .e8m0: 1 } }

  var residentBytes: Int { count * width + (zeros == nil ? 0 : count) }

  func describe(in matrix: inout moe_matrix) {
    matrix.scale_type =
      switch kind {
      case .f32: MOE_SCALE_F32
      case .f16: MOE_SCALE_F16
      case .bf16: MOE_SCALE_BF16
      case .e4m3: MOE_SCALE_E4M3
      case .e8m0: MOE_SCALE_E8M0
      }
    matrix.flat = isFlat
    matrix.scales = values
    matrix.zeros = zeros.map { UnsafePointer($0.bytes.assumingMemoryBound(to: UInt8.self).baseAddress!) }
    matrix.group = Int64(group)
    matrix.group_rows = Int64(groupRows)
    matrix.scale_stride = Int64(stride)
    matrix.global_scale = global
  }
}
