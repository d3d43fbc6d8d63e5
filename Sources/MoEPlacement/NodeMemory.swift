// Memory on chosen NUMA nodes, through hwloc.

#if Hwloc
import CMoEHwloc
#endif
#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Puts pages on nodes and tells where they are.
package final class NodeMemory: @unchecked Sendable {
  #if Hwloc
  private let handle: hwloc_topology_t

  /// - Throws: `TopologyError` when hwloc fails.
  package init() throws(TopologyError) {
    var handle: hwloc_topology_t?
    guard hwloc_topology_init(&handle) == 0, let handle else { throw .failed(call: "hwloc_topology_init", status: errno) }
    guard hwloc_topology_load(handle) == 0 else {
      defer { hwloc_topology_destroy(handle) }
      throw .failed(call: "hwloc_topology_load", status: errno)
    }
    self.handle = handle
  }

  deinit { hwloc_topology_destroy(handle) }

  /// Asks for pages on one node before they are touched, on others where it is full; on several nodes in turn.
  ///
  /// - Parameter nodes: OS indices.
  /// - Returns: why the pages may lie elsewhere, nil otherwise: the thread has a memory policy of its own, which stays, or the system refuses.
  package func bind(_ bytes: UnsafeMutableRawBufferPointer, to nodes: [Int]) -> String? {
    let set = bitmap(nodes), current = bitmap([])
    defer { for set in [set, current] { hwloc_bitmap_free(set) } }
    var policy = HWLOC_MEMBIND_DEFAULT
    if hwloc_get_membind(handle, current, &policy, Int32(HWLOC_MEMBIND_THREAD.rawValue | HWLOC_MEMBIND_BYNODESET.rawValue)) == 0,
      policy != HWLOC_MEMBIND_DEFAULT, policy != HWLOC_MEMBIND_FIRSTTOUCH
    {
      return "the process has a memory policy of its own, which weights follow"
    }
    let wanted = nodes.count == 1 ? HWLOC_MEMBIND_BIND : HWLOC_MEMBIND_INTERLEAVE
    let status = hwloc_set_area_membind(handle, bytes.baseAddress, bytes.count, set, wanted, Int32(HWLOC_MEMBIND_BYNODESET.rawValue))
    return status == 0 ? nil : "binding memory to nodes failed, errno \(errno): weights lie where they were first touched"
  }

  /// OS indices of the nodes that the pages lie on which were touched; nil where the system does not tell.
  package func nodes(of bytes: UnsafeRawBufferPointer) -> [Int]? {
    let set = bitmap([])
    defer { hwloc_bitmap_free(set) }
    guard
      hwloc_get_area_memlocation(handle, bytes.baseAddress, bytes.count, set, Int32(HWLOC_MEMBIND_BYNODESET.rawValue)) == 0
    else { return nil }
    return members(set)
  }

  private func bitmap(_ bits: [Int]) -> hwloc_bitmap_t {
    let set = hwloc_bitmap_alloc()!
    for bit in bits { hwloc_bitmap_set(set, UInt32(bit)) }
    return set
  }
  #else
  /// - Throws: `TopologyError.needsHwloc`, always.
  package init() throws(TopologyError) { throw .needsHwloc }
  package func bind(_ bytes: UnsafeMutableRawBufferPointer, to nodes: [Int]) -> String? { nil }
  package func nodes(of bytes: UnsafeRawBufferPointer) -> [Int]? { nil }
  #endif

  /// How many of some pages, taken evenly, lie on other nodes than `nodes`, and how many were asked.
  package func strays(in bytes: UnsafeRawBufferPointer, from nodes: [Int]) -> (pages: Int, asked: Int) {
    var strays = 0, asked = 0
    for offset in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 64)) {
      guard let found = self.nodes(of: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + 1])), !found.isEmpty else { continue }
      asked += 1
      if !found.allSatisfy(nodes.contains) { strays += 1 }
    }
    return (strays, asked)
  }
}
