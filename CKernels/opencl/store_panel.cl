// The outputs of a panel's weight rows, sixteen at a time.
NONLINEARITIES(float16)

/// `count` numbers, and zeros.
float16 some_of_16(const global float *from, int count) {
  float values[16] = {0};
  for (int k = 0; k < count; k++) values[k] = from[k];
  return vload16(0, values);
}

/// Row `planned` of y from its sums: those of 32 rows, or of 16 and their gates. As `finished` does one by one.
void store_panel(
    const float16 *sums, int planned, int first_row, global float *y, const global float *biases, int expert, int experts, int rows, int flags,
    float limit, float alpha) {
  for (int side = 0; side < (flags & GATED ? 1 : 2); side++) {
    const int row = first_row + 16 * side, count = min(rows - row, 16), kind = flags >> ACTIVATION_SHIFT;
    if (count <= 0) return;
    float16 up = sums[side], gate = sums[1];
    if (flags & HAS_BIAS) {
      up += some_of_16(biases + (long)expert * rows + row, count);
      if (flags & GATED) gate += some_of_16(biases + (long)(experts + expert) * rows + row, count);
    }
    if (flags & ACTIVATES) up = flags & GATED ? gated_float16(kind, gate, up, limit, alpha) : activation_float16(kind, up);
    global float *to = y + (long)planned * rows + row;
    if (count == 16) {
      vstore16(up, 0, to);
    } else {
      float outputs[16];
      vstore16(up, 0, outputs);
      for (int k = 0; k < count; k++) to[k] = outputs[k];
    }
  }
}
