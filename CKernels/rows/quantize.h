// Activations to int8: 32 columns share a scale.
#pragma once

/// scale = largest / 127, code = x * (127 / largest) to the nearest even; a row with NaN or infinity gets a NaN scale.
static void quantize_int8(const float *x, int64_t n, int8_t *codes, float *scales, float *sums) {
#pragma STDC FP_CONTRACT OFF
  for (int64_t b = 0; b < n / 32; b++, x += 32, codes += 32) {
    float largest = 0;
    bool finite = true;
    for (int j = 0; j < 32; j++) {
      float magnitude = fabsf(x[j]);
      finite &= magnitude < INFINITY;
      largest = magnitude > largest ? magnitude : largest;
    }
    float scale = finite ? largest / 127 : (float)NAN, inverse = finite && scale > 0 ? 127 / largest : 0;
    if (!(inverse < INFINITY)) inverse = 0, scale = 0;  // every value below 2^-121: nothing of it would be left
    int32_t sum = 0;
    for (int j = 0; j < 32; j++) {
      float rounded = x[j] * inverse + 12582912.0f;  // 1.5 * 2^23: the sum's last bits are the rounded integer
      int32_t code = finite ? (int32_t)bits_of_float(rounded) - 0x4b400000 : 0;
      codes[j] = (int8_t)code;
      sum += code;
    }
    scales[b] = scale;
    sums[b] = scale * (float)sum;
  }
}
