// The scratch of one call of a GEMM or of packing.
#pragma once

/// Floats; each body asserts that it gets along with them.
enum { GEMM_SCRATCH = 16384 };
