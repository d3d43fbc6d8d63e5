// The CBLAS interface of OpenBLAS.
#pragma once
#if __has_include(<cblas.h>)
#include <cblas.h>
#else
#error "swift-moe-kernels: <cblas.h> is missing: install libopenblas-dev (Debian: apt-get install libopenblas-dev), or disable the package trait 'OpenBLAS'"
#endif
