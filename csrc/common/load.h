// Bytes -> words, wherever they lie.
#pragma once

#include <cstdint>
#include <cstring>

namespace embrow {

inline uint64_t load8(const char* from) noexcept {
    uint64_t word;
    std::memcpy(&word, from, 8);
    return word;
}

}  // namespace embrow
