// What lanes of a subgroup exchange, by cl_khr_subgroup_shuffle: subgroups are whole spans of SPAN lanes, in the order of their items.
#ifndef cl_khr_subgroup_shuffle
#error no subgroups
#endif
#pragma OPENCL EXTENSION cl_khr_subgroup_shuffle : enable

enum { SPAN = 16 };

/// Where a kernel can ask for subgroups of a size.
#ifdef cl_intel_required_subgroup_size
#define IN_SUBGROUPS __attribute__((intel_reqd_sub_group_size(SPAN)))
#else
#define IN_SUBGROUPS
#endif

/// For n from 0 to `count`, at most `most`, where every n is known to the compiler.
#define EACH(n, count, most) UNROLLED for (int n = 0; n < (most); n++) if (n < (count))

/// What a span exchanges through: here the device's own.
typedef struct { uchar none; } span_exchange;

/// The word of the lane across, whose number differs in the bits of `mask`.
uint across(local span_exchange *exchange, uint word, int mask) { return sub_group_shuffle_xor(word, (uint)mask); }
