// Terms -> their sum, in the order that every variant and device keeps. Included after the pragma that sets the target,
// if any; the unnamed namespace keeps each includer's code its own.
//
// Three levels, so that neither the rounding error nor the longest chain of additions grows with the number of terms:
//
//     terms    0 .. 63 | 64 .. 127 | ...        | 4096 .. 4159 | ...
//     blocks   0       + 1         + ... + 63   | 64           + ...
//     supers   0                                + 1 + ...
#pragma once

#include <algorithm>
#include <cstddef>

#include "common/row_terms.h"

namespace embrow {
namespace {

// The sums of neighboring columns: `vectors` of `Lanes::sums`.
template <class Lanes, size_t vectors>
struct column_sums {
    typename Lanes::sums of[vectors] = {};

    void operator+=(const column_sums& other) noexcept {
        for (size_t v = 0; v < vectors; ++v) of[v] += other.of[v];
    }
};

// The sum of `count` terms, of which `block(begin, end)` adds up at most `block_terms`. A Sum{} is zero.
template <class Sum, class Block>
[[gnu::always_inline]] inline Sum sum_blocks(size_t count, const Block& block) noexcept {
    if (count <= block_terms) return block(0, count);
    Sum total{};
    for (size_t first = 0; first < count; first += super_block_terms) {
        const size_t last = std::min(first + super_block_terms, count);
        Sum of_blocks{};
        for (size_t begin = first; begin < last; begin += block_terms) {
            of_blocks += block(begin, std::min(begin + block_terms, last));
        }
        total += of_blocks;
    }
    return total;
}

}  // namespace
}  // namespace embrow
