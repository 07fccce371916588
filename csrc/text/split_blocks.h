// The splitter over blocks of 64 bytes, for a `Block` that classifies one with vector instructions. Included after
// EMBROW_BEGIN_TARGET, so that everything here is inlined into code for it.
//
//     text      t h e   c a t      b * = bit i for byte i
//     token     1 1 1 0 1 1 1 0
//     starts    1 0 0 0 1 0 0 0    token & ~(token << 1 | carried)
//     ends      0 0 0 1 0 0 0 1    ~token & (token << 1 | carried)
//
// ASCII is classified 64 bytes at a time; other code points are looked up one by one, and of them, when splitting at
// whitespace, only those whose first byte a space can have.
#pragma once

#include <bit>
#include <cstring>

#include "text/split.h"
#include "text/unicode.h"

namespace embrow {

struct block_classes {
    uint64_t space;  // ASCII only, as the next
    uint64_t word;   // need not be set when splitting at whitespace
    uint64_t high;   // bytes beyond ASCII
};

// Writes the positions of the set bits, eight at a time without a branch for each; returns the end. Static: its code
// differs by target, so it must not be shared between files.
static inline uint32_t* write_positions(uint64_t bits, uint32_t base, uint32_t* out) noexcept {
    uint32_t* const end = out + std::popcount(bits);
    while (bits) {
        for (int k = 0; k < 8; ++k) {
            out[k] = base + static_cast<uint32_t>(std::countr_zero(bits));
            bits &= bits - 1;
        }
        out += 8;
    }
    return end;
}

template <bool words, class Block>
inline split_counts split_blocks(const char* text, size_t size, const char* row_end, uint32_t* starts, uint32_t* ends,
                                 split_state& carried) noexcept {
    uint32_t* start = starts;
    uint32_t* end = ends;
    split_state state = carried;
    for (size_t at = 0; at < size; at += split_block) {
        const char* block = text + at;
        char tail[split_block];
        uint64_t present = ~uint64_t{0};
        if (size - at < split_block) {
            present = (uint64_t{1} << (size - at)) - 1;
            std::memset(tail, ' ', split_block);
            std::memcpy(tail, block, size - at);
            block = tail;
        }
        const block_classes found = Block::template classify<words>(block);
        uint64_t space = found.space | state.spill_space;
        uint64_t word = found.word | state.spill_word;
        uint64_t other = state.spill_other;
        state.spill_space = state.spill_word = state.spill_other = 0;
        if (found.high) [[unlikely]] {
            for (uint64_t leads = Block::template leads<words>(block); leads; leads &= leads - 1) {
                const int bit = std::countr_zero(leads);
                const char* code_point = text + at + bit;
                const auto length = static_cast<int>(utf8_length(static_cast<unsigned char>(*code_point)));
                // A lead byte of a space is one of many code points'; what is cut off by the row's end cannot occur in
                // valid UTF-8.
                if (code_point + length > row_end) break;
                const uint8_t which = code_point_class(utf8_decode(code_point));
                const uint64_t bytes = (uint64_t{1} << length) - 1;
                const uint64_t here = bytes << bit;
                const uint64_t next = bit + length > static_cast<int>(split_block) ? bytes >> (split_block - bit) : 0;
                if (which & class_space) {
                    space |= here;
                    state.spill_space |= next;
                } else if (words && (which & class_word)) {
                    word |= here;
                    state.spill_word |= next;
                } else if (words) {
                    other |= here;
                    state.spill_other |= next;
                }
            }
        }
        const auto base = static_cast<uint32_t>(at);
        if constexpr (words) {
            word &= present;
            other = (other | ~(space | word | found.high)) & present;
            const uint64_t before_word = word << 1 | state.in_word;
            const uint64_t before_other = other << 1 | state.in_other;
            start = write_positions((word & ~before_word) | (other & ~before_other), base, start);
            end = write_positions((~word & before_word) | (~other & before_other), base, end);
            state.in_word = word >> 63;
            state.in_other = other >> 63;
        } else {
            const uint64_t token = ~space & present;
            const uint64_t before = token << 1 | state.in_word;
            start = write_positions(token & ~before, base, start);
            end = write_positions(~token & before, base, end);
            state.in_word = token >> 63;
        }
    }
    carried = state;
    return {static_cast<size_t>(start - starts), static_cast<size_t>(end - ends)};
}

}  // namespace embrow
