// What the CPU and the operating system say about AArch64's optional instructions.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#if defined(__APPLE__)
#include <sys/sysctl.h>

static inline bool has_arm_feature(const char *name) {
  int value = 0;
  size_t size = sizeof value;
  return sysctlbyname(name, &value, &size, NULL, 0) == 0 && value != 0;
}
static inline bool has_dotprod(void) { return has_arm_feature("hw.optional.arm.FEAT_DotProd"); }
static inline bool has_i8mm(void) { return has_arm_feature("hw.optional.arm.FEAT_I8MM"); }
static inline bool has_bf16(void) { return has_arm_feature("hw.optional.arm.FEAT_BF16"); }

#elif defined(__linux__)
#include <sys/auxv.h>

// Bits of the kernel's interface, which older headers do not name.
static inline bool has_dotprod(void) { return getauxval(AT_HWCAP) >> 20 & 1; }
static inline bool has_i8mm(void) { return getauxval(AT_HWCAP2) >> 13 & 1; }
static inline bool has_bf16(void) { return getauxval(AT_HWCAP2) >> 14 & 1; }

#else
static inline bool has_dotprod(void) { return false; }
static inline bool has_i8mm(void) { return false; }
static inline bool has_bf16(void) { return false; }
#endif
