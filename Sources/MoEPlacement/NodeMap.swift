// Which node of a placement a thread runs on, how many of a pool's workers run on each, and the memory that each computes from.

/// The nodes of a placement as the threads of a call see them: "node n" is the n-th of the placement.
package final class NodeMap: Sendable {
  /// Number of nodes.
  package let count: Int
  /// First of the workers of each node when they are numbered node after node, and the end; every node has one at least.
  package let firstWorkers: [Int]
  /// Places of the placement whose weights a node computes: its own memory and others.
  package let places: [[Int]]
  /// Node of each CPU, -1 for CPUs of other nodes.
  private let nodeOfCPU: [Int32]

  /// - Parameters:
  ///   - cpus: for each node the CPUs that workers may use.
  ///   - threads: workers of the pool, spread over the nodes by these CPUs.
  ///   - memories: nodes that compute what lies in the places beyond the nodes.
  package init(cpus: [[Int]], threads: Int, memories: [Int] = []) {
    count = cpus.count
    places = cpus.indices.map { node in [node] + memories.indices.filter { memories[$0] == node }.map { cpus.count + $0 } }
    var nodes = [Int32](repeating: -1, count: (cpus.joined().max() ?? -1) + 1)
    for (node, cpus) in cpus.enumerated() { for cpu in cpus { nodes[cpu] = Int32(node) } }
    nodeOfCPU = nodes
    let all = max(1, cpus.reduce(0) { $0 + $1.count })
    var firsts = [0], seen = 0
    for cpus in cpus {
      let before = threads * seen / all
      seen += cpus.count
      firsts.append(firsts.last! + max(1, threads * seen / all - before))
    }
    firstWorkers = firsts
  }

  /// The node that the calling thread runs on; nil on another one, and where the system does not tell.
  package var current: Int? {
    guard let cpu = CPUBinding.current(), cpu < nodeOfCPU.count, nodeOfCPU[cpu] >= 0 else { return nil }
    return Int(nodeOfCPU[cpu])
  }

  /// Workers of a node, among those numbered by `firstWorkers`.
  package func workers(of node: Int) -> Range<Int> { firstWorkers[node]..<firstWorkers[node + 1] }
}
