// The format table: geometry, reference decoder and encoder of every weight format, from the one list.
#include "CMoEKernels.h"
#include "list.h"

#define ENCODER_0(name) NULL
#define ENCODER_1(name) encode_##name
#define ROW(name, values, bytes, gguf, safetensors, scaled, encoder) \
  {#name, values, bytes, gguf, safetensors, scaled, decode_##name, ENCODER_##encoder(name)},

static const moe_format formats[] = {MOE_FORMATS(ROW)};

int32_t moe_format_count(void) { return sizeof formats / sizeof *formats; }
const moe_format *moe_format_at(int32_t index) { return &formats[index]; }
