// The hwloc interface: topology, memory and thread binding.
#pragma once
#if __has_include(<hwloc.h>)
#include <hwloc.h>
#else
#error "swift-moe-kernels: <hwloc.h> is missing: install libhwloc-dev (Debian: apt-get install libhwloc-dev), or disable the package trait 'Hwloc'"
#endif
