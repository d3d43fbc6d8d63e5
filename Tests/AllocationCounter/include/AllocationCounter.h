// Counts the allocations of a process: malloc and its kin stand in front of the C library's.
#pragma once

#include <stdbool.h>
#include <stdint.h>

/// False where nothing is counted: under a sanitizer, which has an allocator of its own, and with another C library than glibc.
bool moe_counts_allocations(void);

/// Allocations of all threads since the process began.
int64_t moe_allocations(void);
