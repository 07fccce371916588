// The loop over a run's pieces, for a `Hasher` of tokens that fit their key. Included after EMBROW_BEGIN_TARGET, so
// that everything here is inlined into code for it.
#pragma once

#include "vocab/hash_run.h"
#include "vocab/slots.h"

namespace embrow {

// Both copies, which what is written to `out` cannot change.
template <uint32_t gap, class Hasher>
inline hashed_token* hash_pieces(const token_run& run, size_t begin, size_t end, hash_seed seed, Hasher hasher,
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
            hasher.hash(reinterpret_cast<const char*>(loadable + *start), size, *out);
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

template <class Hasher>
inline hashed_token* hash_run(const token_run& run, size_t begin, size_t end, const hash_seed& seed,
                              std::span<const uint32_t> index, hashed_token* out) noexcept {
    const Hasher hasher(seed);
    return run.gap ? hash_pieces<1>(run, begin, end, seed, hasher, index, out)
                   : hash_pieces<0>(run, begin, end, seed, hasher, index, out);
}

}  // namespace embrow
