// Bytes -> 64 mixed bits: the arithmetic shared by token hashes and checksums.
#pragma once

#include <cstdint>

namespace embrow {

__extension__ typedef unsigned __int128 uint128;  // NOLINT(modernize-use-using): the only form that -Wpedantic takes

// The 128-bit product folded to 64 bits, the mixing step of wyhash and its kin (Wang Yi, 2019).
inline uint64_t fold(uint64_t a, uint64_t b) noexcept {
    const auto product = static_cast<uint128>(a) * b;
    return static_cast<uint64_t>(product ^ product >> 64);
}

}  // namespace embrow
