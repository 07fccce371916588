#include "vocab/lookup.h"

#include "common/prefetch.h"

namespace embrow {
namespace {

// The seed is a copy, which what is written to `out` cannot change.
template <uint32_t gap>
hashed_token* hash_pieces(const token_run& run, size_t begin, size_t end, hash_seed seed,
                          std::span<const uint32_t> index, hashed_token* out) noexcept {
    const uint32_t* const slots = index.data();
    const uint64_t mask = slot_mask(index);
    const size_t copied_from = run.copied_from;
    const uintptr_t in_place = reinterpret_cast<uintptr_t>(run.text);
    const uintptr_t in_copy = reinterpret_cast<uintptr_t>(run.copy) - copied_from;
    const uint32_t* const last = run.starts + end;
    const uint32_t* ends = run.ends + begin;
    for (const uint32_t* start = run.starts + begin; start != last; ++start, ++ends) {
        const uint32_t size = (gap ? start[1] : *ends) - *start - gap;
        // Of separated pieces, empty ones wrap around.
        if (size - gap <= inline_token_bytes - gap) [[likely]] {
            // Chosen without a branch: where a row's copied end begins is hard to foresee.
            const uintptr_t loadable = *start < copied_from ? in_place : in_copy;
            *out = hash_inline(reinterpret_cast<const char*>(loadable + *start), size, seed);
        } else if (size > 0) {
            *out = hash_beyond(run.text + *start, size, seed);
        } else {
            continue;
        }
        __builtin_prefetch(slots + (out->hash & mask));
        ++out;
    }
    return out;
}

}  // namespace

hashed_token* hash_run(const token_run& run, size_t begin, size_t end, const hash_seed& seed,
                       std::span<const uint32_t> index, hashed_token* out) noexcept {
    return run.gap ? hash_pieces<1>(run, begin, end, seed, index, out)
                   : hash_pieces<0>(run, begin, end, seed, index, out);
}

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
