// The splitter over blocks of 64 bytes, for a `Block` that classifies one with vector instructions. Included after
// EMBROW_BEGIN_TARGET, so that everything here is inlined into code for it.
//
//     text      t h e   c a t      b * = bit i for byte i
//     space     0 0 0 1 0 0 0 1    all that is asked of white space
//     word      1 1 1 0 1 1 1 0
//     starts    1 0 0 0 1 0 0 0    word & ~(word << 1 | carried)
//     ends      0 0 0 1 0 0 0 1    ~word & (word << 1 | carried)
//
// ASCII is classified 64 bytes at a time; other code points are looked up one by one, and of them, when splitting at
// whitespace, only those whose first byte a space can have.
#pragma once

#include <bit>
#include <cstring>
#include <utility>

#include "text/split.h"
#include "text/unicode.h"

namespace embrow {

struct block_classes {
    uint64_t space;  // ASCII only, as the next
    uint64_t word;   // need not be set when splitting at whitespace
    uint64_t high;   // bytes beyond ASCII
};

// Writes the positions of the set bits, of which a block of text has some eight to twelve, with few branches; returns
// the end. What is written behind it is to be overwritten.
template <class Block>
inline uint32_t* write_positions(uint64_t bits, size_t base, uint32_t* out) noexcept {
    const int count = std::popcount(bits);
    const auto write = [&](int k) {
        out[k] = static_cast<uint32_t>(base + Block::lowest(bits));
        bits &= bits - 1;
    };
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) write(k);
    if (count <= 8) return out + count;
#pragma GCC unroll 4
    for (int k = 8; k < 12; ++k) write(k);
    for (int k = 12; k < count; ++k) write(k);
    return out + count;
}

// One segment's work.
template <bool words, class Block>
struct block_splitter {
    const char* text;
    const char* row_end;
    uint32_t* start;
    uint32_t* end;
    split_state& state;

    // The block at text[at], whose bytes are those of `block`, read from memory, but for the first `dropped`. Of what
    // is left, `present` are the text's.
    void split(size_t at, const char* block, int dropped, uint64_t present) noexcept {
        const block_classes found = Block::template classify<words>(block);
        uint64_t space = found.space >> dropped | std::exchange(state.spill_space, 0);
        uint64_t word = 0;
        uint64_t other = 0;
        if constexpr (words) {
            word = found.word >> dropped | std::exchange(state.spill_word, 0);
            other = std::exchange(state.spill_other, 0);
        }
        const uint64_t high = found.high >> dropped;
        if (high) [[unlikely]] {
            state.beyond_ascii = true;
            if (state.ascii_only) return;
            for (uint64_t leads = Block::template leads<words>(block) >> dropped; leads; leads &= leads - 1) {
                const int bit = std::countr_zero(leads);
                const char* code_point = text + at + bit;
                const auto length = static_cast<int>(utf8_length(*code_point));
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
        if constexpr (words) {
            word &= present;
            other = (other | ~(space | word | high)) & present;
            const uint64_t before_word = word << 1 | state.in_word;
            const uint64_t before_other = other << 1 | state.in_other;
            start = write_positions<Block>((word & ~before_word) | (other & ~before_other), at, start);
            end = write_positions<Block>((~word & before_word) | (~other & before_other), at, end);
            state.in_word = word >> 63;
            state.in_other = other >> 63;
        } else {
            end = write_positions<Block>(space & present, at + 1, end);
        }
    }
};

template <bool words, class Block>
inline split_counts split_blocks(const char* text, size_t size, const char* row_end, uint32_t* starts, uint32_t* ends,
                                 split_state& state) noexcept {
    block_splitter<words, Block> splitter{text, row_end, starts, ends, state};
    size_t at = 0;
    for (; at + split_block <= size; at += split_block) splitter.split(at, text + at, 0, ~uint64_t{0});
    if (const size_t left = size - at; left > 0) {
        const uint64_t present = (uint64_t{1} << left) - 1;
        if (at > 0) {
            // They are read as the end of 64.
            splitter.split(at, text + size - split_block, static_cast<int>(split_block - left), present);
        } else {
            char tail[split_block];
            std::memset(tail, ' ', split_block);
            std::memcpy(tail, text, left);
            splitter.split(at, tail, 0, present);
        }
    }
    return {static_cast<size_t>(splitter.start - starts), static_cast<size_t>(splitter.end - ends)};
}

}  // namespace embrow
