// Bytes that came from a file: which file, and pages that can be read from it again.

/// A file in one state: what its system tells of it, which is something else after its content was written to.
package struct FileIdentity: Sendable, Hashable {
  package let device: UInt64, inode: UInt64
  package let bytes: Int64
  /// Nanoseconds since 1970 of the last change of the content, and of content or attributes: the second cannot be set back.
  package let modified: Int64, changed: Int64

  package init(device: UInt64, inode: UInt64, bytes: Int64, modified: Int64, changed: Int64) {
    self.device = device
    self.inode = inode
    self.bytes = bytes
    self.modified = modified
    self.changed = changed
  }
}

/// The bytes of a file, mapped or copied.
package protocol FilePages: AnyObject, Sendable {
  /// The file when it was opened; nil when it had been changed so shortly before that its times would not tell another change.
  var identity: FileIdentity? { get }
  /// True when the bytes take no memory that the system could not have back.
  var isMapped: Bool { get }
  /// True when the path still leads to the file as it was opened.
  var isUnchanged: Bool { get }
  /// Reads the same bytes without mapping them; nil where they are in memory, or the path leads to another file by now.
  func reader() -> (any FileReading)?
  /// Bytes of the file before `address`.
  func offset(of address: UnsafeRawPointer) -> Int
  /// Lets the system take back the whole pages inside `bytes`; they are read from the file when they are touched again.
  func giveBack(_ bytes: UnsafeRawBufferPointer)
}

/// An open file whose bytes are read where they are wanted.
package protocol FileReading: Sendable {
  /// Fills `memory` with the bytes from `offset` on.
  ///
  /// - Throws: `ShapeError` naming the file when it cannot be read or ends before.
  func fill(_ memory: UnsafeMutableRawBufferPointer, at offset: Int) throws(ShapeError)
}
