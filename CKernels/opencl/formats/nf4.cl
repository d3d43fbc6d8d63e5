// nf4: codes of 16 levels, two a byte, the first low; scales lie beside.
float8 decode_nf4(const global uchar *row, int column) {
  const uchar8 c = as_uchar8(pairs_uint2(row + column / 2));
  return (float8)(nf4_levels[c.s0], nf4_levels[c.s1], nf4_levels[c.s2], nf4_levels[c.s3],
                  nf4_levels[c.s4], nf4_levels[c.s5], nf4_levels[c.s6], nf4_levels[c.s7]);
}
