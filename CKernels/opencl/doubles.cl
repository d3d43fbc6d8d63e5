// The vocabulary of gating/exact.h, one lane.
#pragma OPENCL EXTENSION cl_khr_fp64 : enable

#define BODY
#define doubles double
#define longs ulong
#define bits_of as_ulong
#define doubles_of as_double
#define root sqrt
