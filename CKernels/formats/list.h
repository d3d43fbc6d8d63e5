// The only list of weight formats: X(name, values a block, bytes a block, GGUF type, safetensors type, scaled, encoder).
//
// `formats/<name>.h` defines `decode_<name>(blocks, values, scale, zero, out)` and, where `encoder` is 1, `encode_<name>(values, count, blocks)`.
#include "f32.h"
#include "f16.h"
#include "bf16.h"
#include "q8_0.h"

#define MOE_FORMATS(X)                        \
  X(f32, 1, 4, 0, "F32", false, 1)            \
  X(f16, 1, 2, 1, "F16", false, 1)            \
  X(bf16, 1, 2, 30, "BF16", false, 1)         \
  X(q8_0, 32, 34, 8, NULL, false, 1)
