// A vocabulary's table in memory that the device reaches: the arrays of table.h, byte for byte.
#pragma once

#include <cstdint>

#include "vocab/token.h"

namespace embrow {

// The keys lie at a multiple of 16 bytes; the arena lies at a multiple of 8 and can be read up to one.
struct device_table {
    const uint32_t* index;
    const token_key* keys;
    const char* arena;
    uint64_t seed[2];
    uint32_t mask;     // slots - 1
    uint32_t longest;  // bytes of the longest token
};

}  // namespace embrow
