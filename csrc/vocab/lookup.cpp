#include "vocab/lookup.h"

#include <cstring>

#include "common/prefetch.h"

namespace embrow {
namespace {

// The number that a slot names, counted from 1, where the first one is another hash's: 0 for none.
[[gnu::noinline]] uint32_t probe_on(std::span<const uint32_t> index, uint64_t hash) noexcept {
    const uint32_t mask = slot_mask(index);
    size_t at = hash & mask;
    while (index[at] && !slot_matches(index[at], hash, mask)) at = (at + 1) & mask;
    return index[at] & mask;
}

}  // namespace

void find_slots(std::span<const uint32_t> index, const token_key* keys, std::span<const hashed_token> tokens,
                int32_t* entries) noexcept {
    const uint32_t* const slots = index.data();
    const uint32_t mask = slot_mask(index);
    const uintptr_t keys_from_1 = reinterpret_cast<uintptr_t>(keys) - sizeof(token_key);
    const auto find = [&](size_t i) {
        // Loaded as two halves, which saves taking them apart.
        uint32_t low;
        uint32_t high;
        std::memcpy(&low, &tokens[i].hash, 4);
        std::memcpy(&high, reinterpret_cast<const char*>(&tokens[i].hash) + 4, 4);
        // An entry counted from 1, or 0 or beyond the mask, where the slot is empty or has other bits of hash.
        uint32_t number = slots[low & mask] ^ (high & ~mask);
        if (number - 1 >= mask) [[unlikely]]
            number = probe_on(index, tokens[i].hash);
        entries[i] = static_cast<int32_t>(number - 1);
        // Also for 0, just in front of the keys: a branch would cost more.
        prefetch_line(keys_from_1 + sizeof(token_key) * number);
    };
    size_t i = 0;
    for (; i + tokens_together <= tokens.size(); i += tokens_together) {
#pragma GCC unroll 4
        for (size_t k = 0; k < tokens_together; ++k) find(i + k);
    }
    for (; i < tokens.size(); ++i) find(i);
}

}  // namespace embrow
