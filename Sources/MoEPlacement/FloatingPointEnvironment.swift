// The floating-point environment of tasks: default rounding, no flush to zero, so that results do not depend on the caller's settings.

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Sets the calling thread's rounding and denormal modes to the default.
func useDefaultFloatingPoint() {
  #if canImport(Darwin)
  var environment = _FE_DFL_ENV
  fesetenv(&environment)
  #else
  // FE_DFL_ENV is the address -1 in glibc and musl.
  fesetenv(UnsafePointer<fenv_t>(bitPattern: -1))
  #endif
}

/// Runs `body` in the default environment and restores the caller's.
func withDefaultFloatingPoint(_ body: () -> Void) {
  var saved = fenv_t()
  fegetenv(&saved)
  useDefaultFloatingPoint()
  body()
  fesetenv(&saved)
}

/// Nanoseconds of the clock that never steps back.
func monotonicNanoseconds() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
