// The only list of weight formats: X(name, values a block, bytes a block, GGUF type, safetensors type, scaled, encoder).
//
// `formats/<name>.h` defines `decode_<name>(blocks, values, scale, zero, out)` and, where `encoder` is 1, `encode_<name>(values, count, blocks)`.
#pragma once
#include "f32.h"
#include "f16.h"
#include "bf16.h"
#include "q4_0.h"
#include "q4_1.h"
#include "q5_0.h"
#include "q5_1.h"
#include "q8_0.h"
#include "q2_k.h"
#include "q3_k.h"
#include "q4_k.h"
#include "q5_k.h"
#include "q6_k.h"
#include "iq2_xxs.h"
#include "iq2_xs.h"
#include "iq3_xxs.h"
#include "iq1_s.h"
#include "iq4_nl.h"
#include "iq3_s.h"
#include "iq2_s.h"
#include "iq4_xs.h"
#include "iq1_m.h"
#include "tq1_0.h"
#include "tq2_0.h"
#include "mxfp4.h"
#include "nvfp4.h"
#include "f8_e4m3.h"
#include "f8_e5m2.h"
#include "int4.h"
#include "nf4.h"
#include "e2m1.h"

#define MOE_FORMATS(X)                                   \
  X(f32, 1, 4, 0, "F32", false, 1)                       \
  X(f16, 1, 2, 1, "F16", false, 1)                       \
  X(bf16, 1, 2, 30, "BF16", false, 1)                    \
  X(q4_0, 32, 18, 2, NULL, false, 1)                     \
  X(q4_1, 32, 20, 3, NULL, false, 1)                     \
  X(q5_0, 32, 22, 6, NULL, false, 1)                     \
  X(q5_1, 32, 24, 7, NULL, false, 1)                     \
  X(q8_0, 32, 34, 8, NULL, false, 1)                     \
  X(q2_k, 256, 84, 10, NULL, false, 0)                   \
  X(q3_k, 256, 110, 11, NULL, false, 0)                  \
  X(q4_k, 256, 144, 12, NULL, false, 1)                  \
  X(q5_k, 256, 176, 13, NULL, false, 1)                  \
  X(q6_k, 256, 210, 14, NULL, false, 1)                  \
  X(iq2_xxs, 256, 66, 16, NULL, false, 0)                \
  X(iq2_xs, 256, 74, 17, NULL, false, 0)                 \
  X(iq3_xxs, 256, 98, 18, NULL, false, 0)                \
  X(iq1_s, 256, 50, 19, NULL, false, 0)                  \
  X(iq4_nl, 32, 18, 20, NULL, false, 1)                  \
  X(iq3_s, 256, 110, 21, NULL, false, 0)                 \
  X(iq2_s, 256, 82, 22, NULL, false, 0)                  \
  X(iq4_xs, 256, 136, 23, NULL, false, 0)                \
  X(iq1_m, 256, 56, 29, NULL, false, 0)                  \
  X(tq1_0, 256, 54, 34, NULL, false, 1)                  \
  X(tq2_0, 256, 66, 35, NULL, false, 1)                  \
  X(mxfp4, 32, 17, 39, NULL, false, 1)                   \
  X(nvfp4, 64, 36, 40, NULL, false, 1)                   \
  X(f8_e4m3, 1, 1, -1, "F8_E4M3", true, 1)               \
  X(f8_e5m2, 1, 1, -1, "F8_E5M2", true, 1)               \
  X(int4, 2, 1, -1, NULL, true, 1)                       \
  X(nf4, 2, 1, -1, NULL, true, 1)                        \
  X(e2m1, 2, 1, -1, NULL, true, 1)

// Formats of integer codes, which meet int8 activations: X(name, values a block, bytes a block, bits a code,
// columns a scale, kind of scale lines, levels, zero, signed, quads of products that fit 16 bits when summed).
//
// value = scale * (level - zero) + minimum, level = levels[code] or the code. `codes_<name>(block, codes, lines, row)` unpacks the codes of one
// block in order and puts its scales into row `row` of a panel's scale lines. Signed formats have no zero. See panels.h.
//
// Those that lie in panels of eight rows.
#define MOE_PANEL_CODE_FORMATS(X)                                            \
  X(q4_0, 32, 18, 4, 32, LINES_HALF, NULL, 8, false, 8)                      \
  X(q4_1, 32, 20, 4, 32, LINES_HALF_MINIMUM, NULL, 0, false, 8)              \
  X(q5_0, 32, 22, 5, 32, LINES_HALF, NULL, 16, false, 4)                     \
  X(q5_1, 32, 24, 5, 32, LINES_HALF_MINIMUM, NULL, 0, false, 4)              \
  X(q8_0, 32, 34, 8, 32, LINES_HALF, NULL, 0, true, 1)                       \
  X(q2_k, 256, 84, 2, 16, LINES_NIBBLES, NULL, 0, false, 4)                  \
  X(q3_k, 256, 110, 3, 16, LINES_STEPS, NULL, 4, false, 4)                   \
  X(q4_k, 256, 144, 4, 32, LINES_AFFINE, NULL, 0, false, 8)                  \
  X(q5_k, 256, 176, 5, 32, LINES_AFFINE, NULL, 0, false, 4)                  \
  X(q6_k, 256, 210, 6, 16, LINES_STEPS, NULL, 32, false, 2)                  \
  X(iq4_nl, 32, 18, 4, 32, LINES_HALF, iq4_levels, 0, true, 1)               \
  X(iq4_xs, 256, 136, 4, 32, LINES_STEPS, iq4_levels, 0, true, 1)            \
  X(tq2_0, 256, 66, 2, 32, LINES_HALF, NULL, 1, false, 8)                    \
  X(mxfp4, 32, 17, 4, 32, LINES_E8M0, raised_e2m1_levels, 12, false, 4)      \
  X(nvfp4, 64, 36, 4, 16, LINES_UE4M3, raised_e2m1_levels, 12, false, 4)     \
  X(e2m1, 32, 16, 4, 32, LINES_E8M0_PLANE, raised_e2m1_levels, 12, false, 4) \
  X(int4, 32, 16, 4, 32, LINES_PLANES, NULL, 0, false, 8)

// Those whose panels, with 8 bits a code, would take more than 1.15 times the published bytes: packed a run of columns at a time.
#define MOE_RUN_FORMATS(X)                                                   \
  X(iq2_xxs, 256, 66, 8, 32, LINES_EIGHTHS, NULL, 0, true, 2)                \
  X(iq2_xs, 256, 74, 8, 16, LINES_EIGHTHS, NULL, 0, true, 2)                 \
  X(iq3_xxs, 256, 98, 8, 32, LINES_EIGHTHS, NULL, 0, true, 2)                \
  X(iq1_s, 256, 50, 8, 32, LINES_EIGHTHS, NULL, 0, true, 2)                  \
  X(iq3_s, 256, 110, 8, 32, LINES_STEPS, NULL, 0, true, 2)                   \
  X(iq2_s, 256, 82, 8, 16, LINES_EIGHTHS, NULL, 0, true, 2)                  \
  X(iq1_m, 256, 56, 8, 16, LINES_EIGHTHS, NULL, 0, true, 2)                  \
  X(tq1_0, 256, 54, 8, 32, LINES_HALF, NULL, 1, false, 8)

#define MOE_CODE_FORMATS(X) MOE_PANEL_CODE_FORMATS(X) MOE_RUN_FORMATS(X)

// Floats of one byte, which lie in panels as codes do and meet f32 activations alone.
#define MOE_BYTE_FLOAT_FORMATS(X) X(f8_e4m3, 32, 32, 8, 32, LINES_FLOATS, NULL, 0, true, 1)

#define MOE_PANEL_FORMATS(X) MOE_PANEL_CODE_FORMATS(X) MOE_BYTE_FLOAT_FORMATS(X)

// Formats of plain elements, which lie in panels of sixteen rows, column after column; gemm/gemm_float.h loads them.
#define MOE_PLAIN_FORMATS(X) X(f32) X(f16) X(bf16)

#define INDEX(f, ...) INDEX_##f,
enum { MOE_FORMATS(INDEX) FORMATS };
