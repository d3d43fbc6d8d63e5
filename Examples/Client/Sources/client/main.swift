// Another engine: runs one MoE layer of the checkpoint named on the command line and prints what came out.

import MoE

guard CommandLine.arguments.count == 2 else {
  print("usage: client CHECKPOINT")
  throw Usage()
}
struct Usage: Error {}

let tokens = 4
let checkpoint = try Checkpoint(path: CommandLine.arguments[1])
let machine = try Machine.current()
let layer = try MoELayer(checkpoint, layer: 1, on: machine)

let values = (0..<tokens * layer.hidden).map { Float($0 % 17) / 17 - 0.5 }
let output = try layer(HiddenStates(values, tokens: tokens, hidden: layer.hidden)).values

let finite = output.filter(\.isFinite).count
print("\(tokens) tokens of \(layer.hidden) values in, \(output.count) out, \(finite) finite")
struct Wrong: Error {}
guard output.count == values.count, finite == output.count, output.contains(where: { $0 != 0 }) else { throw Wrong() }
