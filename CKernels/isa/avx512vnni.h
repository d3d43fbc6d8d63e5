// Sums of products in the AVX-512 tables with VNNI: four products a lane in 32 bits at once.
#pragma once
#include "avx512.h"

#define WORDS_ARE_INTS
#define UNSIGNED_CODES
BODY words dot(words sum, bytes codes, bytes x) { return _mm512_dpbusd_epi32(sum, codes, x); }
BODY ints sum_words(words a) { return a; }
