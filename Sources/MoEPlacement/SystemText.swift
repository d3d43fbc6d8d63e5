// Small text files of the operating system (/proc, /sys), read without Foundation.

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The first 64 KiB of a file as text, or nil when it cannot be read.
package func systemText(_ path: String) -> String? {
  guard let file = fopen(path, "r") else { return nil }
  defer { fclose(file) }
  let bytes = [UInt8](unsafeUninitializedCapacity: 65536) { buffer, count in
    count = fread(buffer.baseAddress, 1, buffer.count, file)
  }
  return String(decoding: bytes, as: UTF8.self)
}

/// `text` cut at `separator` and stripped of blanks at both ends of each piece.
func fields(_ text: some StringProtocol, separator: Character) -> [String] {
  text.split(separator: separator, omittingEmptySubsequences: false).map { piece in
    var piece = piece[...]
    while let first = piece.first, first.isWhitespace { piece.removeFirst() }
    while let last = piece.last, last.isWhitespace { piece.removeLast() }
    return String(piece)
  }
}
