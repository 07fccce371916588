#include "vocab/lookup.h"

#include <cstring>

#include "common/prefetch.h"

namespace embrow {

void find_slots(std::span<const uint32_t> index, const token_key* keys, std::span<const hashed_token> tokens,
                int32_t* entries) noexcept {
    const uint32_t* const slots = index.data();
    const uint32_t mask = slot_mask(index);
    const uintptr_t keys_from_1 = reinterpret_cast<uintptr_t>(keys) - sizeof(token_key);
    for (const hashed_token& token : tokens) {
        // Loaded as two halves, which saves taking them apart.
        uint32_t low;
        uint32_t high;
        std::memcpy(&low, &token.hash, 4);
        std::memcpy(&high, reinterpret_cast<const char*>(&token.hash) + 4, 4);
        uint64_t at = low & mask;
        // An entry counted from 1, or 0 or beyond the mask, where the slot is empty or has other bits of hash.
        uint32_t number = slots[at] ^ (high & ~mask);
        if (number - 1 >= mask) [[unlikely]] {
            while (slots[at] && !slot_matches(slots[at], token.hash, mask)) at = (at + 1) & mask;
            number = slots[at] & mask;
        }
        *entries++ = static_cast<int32_t>(number - 1);
        // Also for 0, just in front of the keys: a branch would cost more.
        prefetch_line(keys_from_1 + sizeof(token_key) * number);
    }
}

}  // namespace embrow
