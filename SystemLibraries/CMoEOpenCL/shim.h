// The OpenCL host interface, through the ICD loader.
#pragma once
#if __has_include(<CL/cl.h>)
#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>
#else
#error "swift-moe-kernels: <CL/cl.h> is missing: install ocl-icd-opencl-dev and opencl-headers (Debian: apt-get install ocl-icd-opencl-dev opencl-headers), or disable the package trait 'OpenCL'"
#endif
