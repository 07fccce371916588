// A hash index: 2^b slots of 32 bits, open addressing, at most half full.
//
//     | 32 - b bits of hash | id + 1: b |      0 is empty
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace embrow {

inline constexpr int32_t no_id = -1;

// Slots for `tokens` tokens: a power of two, at most half of them used.
size_t index_slots(size_t tokens) noexcept;

// The bits of a hash that choose a slot, and those of a slot that hold a number, an id counted from 1.
inline uint32_t slot_mask(std::span<const uint32_t> index) noexcept {
    return static_cast<uint32_t>(index.size() - 1);
}
inline uint32_t make_slot(uint64_t hash, size_t id, uint32_t mask) noexcept {
    return (static_cast<uint32_t>(hash >> 32) & ~mask) | static_cast<uint32_t>(id + 1);
}
// For an empty slot, no_id as an unsigned number.
inline uint32_t slot_id(uint32_t slot, uint32_t mask) noexcept {
    return (slot & mask) - 1;
}
inline bool slot_matches(uint32_t slot, uint64_t hash, uint32_t mask) noexcept {
    return ((slot ^ static_cast<uint32_t>(hash >> 32)) & ~mask) == 0;
}

// Puts every id's slot into an empty index.
void fill_index(std::span<uint32_t> index, std::span<const uint64_t> hashes) noexcept;

}  // namespace embrow
