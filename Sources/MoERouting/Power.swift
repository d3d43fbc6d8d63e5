// The one transcendental that norms of unusual order need from the C library.

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// x to the power y.
func power(_ x: Double, _ y: Double) -> Double { pow(x, y) }
