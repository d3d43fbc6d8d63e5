// tq1_0: 256 ternary codes, five to a byte, and their scale; value = d * (t - 1).
//
// Block of 54 bytes: 52 bytes of codes, f16 d. A byte b holds base-3 digits, the first the most significant, as
// ceil(number * 256 / 243): digit k is the high byte of 3 * (b * 3^k mod 256). Bytes 0-31 hold digit k of values
// 32 * k + i, bytes 32-47 of values 160 + 16 * k + i, bytes 48-51 four digits of values 240 + 4 * k + i.
#pragma once
#include "bits.h"

FORMAT void widen_tq1_0(const uint8_t *restrict bytes, int count, int digits, float d, float *restrict out) {
  for (int k = 0, power = 1; k < digits; k++, power *= 3, out += count)
    for (int i = 0; i < count; i++) out[i] = d * (float)(((uint8_t)(bytes[i] * power) * 3 >> 8) - 1);
}

FORMAT void decode_tq1_0(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 54, out += 256) {
    float d = load_f16(block + 52);
    widen_tq1_0(block, 32, 5, d, out);
    widen_tq1_0(block + 32, 16, 5, d, out + 160);
    widen_tq1_0(block + 48, 4, 4, d, out + 240);
  }
}

FORMAT void narrow_tq1_0(const float *values, int count, int digits, float inverse, uint8_t *bytes) {
  for (int i = 0; i < count; i++) {
    int number = 0;
    for (int k = 0; k < 5; k++) number = number * 3 + (k < digits ? ternary_of_float(values[k * count + i] * inverse) : 0);
    bytes[i] = (uint8_t)((number * 256 + 242) / 243);
  }
}

FORMAT void encode_tq1_0(const float *restrict values, int64_t count, void *restrict blocks) {
  uint8_t *block = blocks;
  for (; count > 0; count -= 256, block += 54, values += 256) {
    float d = fabsf(peak_of(values, 256)), inverse = inverse_of(d);
    narrow_tq1_0(values, 32, 5, inverse, block);
    narrow_tq1_0(values + 160, 16, 5, inverse, block + 32);
    narrow_tq1_0(values + 240, 4, 4, inverse, block + 48);
    store_u16(block + 52, f16_of_float(d));
  }
}

FORMAT void unpack_tq1_0(const uint8_t *restrict bytes, int count, int digits, uint8_t *restrict codes) {
  for (int k = 0, power = 1; k < digits; k++, power *= 3, codes += count)
    for (int i = 0; i < count; i++) codes[i] = (uint8_t)((uint8_t)(bytes[i] * power) * 3 >> 8);
}

FORMAT void codes_tq1_0(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_half(lines, row, block + 52);
  unpack_tq1_0(block, 32, 5, codes);
  unpack_tq1_0(block + 32, 16, 5, codes + 160);
  unpack_tq1_0(block + 48, 4, 4, codes + 240);
}
