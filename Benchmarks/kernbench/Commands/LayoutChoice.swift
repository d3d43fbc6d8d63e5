// `--layout`: how weights lie in memory, in the words of the command line.

import ArgumentParser
import MoE

/// A layout that was named, or the layer's own choice.
enum LayoutChoice: String, ExpressibleByArgument, CaseIterable {
  case auto, rows, panels

  var layout: WeightLayout? {
    switch self {
    case .auto: nil
    case .rows: .rows
    case .panels: .panels
    }
  }
}
