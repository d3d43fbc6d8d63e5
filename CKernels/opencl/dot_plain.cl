// The dot product of four pairs of int8 in plain C.
int dot_quad(uint a, uint b, int sum) {
  const int4 products = convert_int4(as_char4(a)) * convert_int4(as_char4(b));
  return sum + products.s0 + products.s1 + products.s2 + products.s3;
}
