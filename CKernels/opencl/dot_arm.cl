// The dot product of four pairs of int8 by cl_arm_integer_dot_product_accumulate_int8.
#pragma OPENCL EXTENSION cl_arm_integer_dot_product_accumulate_int8 : enable
int dot_quad(uint a, uint b, int sum) { return arm_dot_acc(as_char4(a), as_char4(b), sum); }
