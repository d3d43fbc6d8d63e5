// Sums of products in the AVX-512 tables with VNNI: four products a lane in 32 bits at once.
#pragma once
#include "avx512.h"

#define WORDS_ARE_INTS
BODY words dot(words sum, bytes codes, bytes x) { return _mm512_dpbusd_epi32(sum, codes, x); }
BODY words signed_dot(words sum, bytes codes, bytes x) { return dot(sum, _mm512_abs_epi8(codes), signed_as(x, codes)); }
BODY ints sum_words(words a) { return a; }
