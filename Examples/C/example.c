// The kernels from C, by their header alone: lists formats and kernel tables, and decodes a row of q8_0.
#include <CMoEKernels.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static int32_t format_named(const char *name) {
  for (int32_t i = 0; i < moe_format_count(); i++)
    if (strcmp(moe_format_at(i)->name, name) == 0) return i;
  return -1;
}

int main(void) {
  printf("formats:");
  for (int32_t i = 0; i < moe_format_count(); i++) printf(" %s", moe_format_at(i)->name);
  printf("\nkernel tables:");
  for (int32_t i = 0; i < moe_kernels_count(); i++)
    printf(" %s%s", moe_kernels_at(i)->name, moe_kernels_at(i)->supported() ? "" : " (not on this CPU)");
  printf("\n");

  int32_t q8_0 = format_named("q8_0");
  if (q8_0 < 0) return fprintf(stderr, "no format q8_0\n"), 1;

  float values[64], decoded[64];
  for (int i = 0; i < 64; i++) values[i] = sinf((float)i * 0.25f);
  unsigned char row[2 * 34];
  moe_format_at(q8_0)->encode(values, 64, row);

  moe_matrix matrix = {.format = q8_0, .rows = 1, .columns = 64, .row_bytes = sizeof row, .data = row, .global_scale = 1};
  moe_matrix_decode(&matrix, 0, 0, 64, decoded);

  float worst = 0;
  for (int i = 0; i < 64; i++) worst = fmaxf(worst, fabsf(decoded[i] - values[i]));
  printf("q8_0 row of 64 values: worst rounding error %.5f\n", worst);
  // Half a step of 1/127 and the rounding of the f16 scale.
  return worst <= 0.5f / 127 + 0x1p-11f ? 0 : 1;
}
