// The dot product of four pairs of int8 by cl_khr_integer_dot_product.
#pragma OPENCL EXTENSION cl_khr_integer_dot_product : enable
int dot_quad(uint a, uint b, int sum) { return sum + dot_4x8packed_ss_int(a, b); }
