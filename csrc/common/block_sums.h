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
#include <type_traits>
#include <utility>

#include "common/row_terms.h"

namespace embrow {
namespace {

// Calls body(0) to body(count - 1), each number as a type. Arrays that are indexed by nothing else stay in registers,
// which loops that the compiler may unroll do not ensure.
template <size_t count, class Body>
[[gnu::always_inline]] inline void unrolled(const Body& body) noexcept {
    [&]<size_t... i>(std::index_sequence<i...>) __attribute__((always_inline)) {
        (body(std::integral_constant<size_t, i>{}), ...);
    }(std::make_index_sequence<count>{});
}

// The sums of `vectors` neighboring vectors of columns over `count` terms. `sum_block(begin, end, sums)` finds those of
// at most `block_terms` of them.
template <size_t vectors, class Vector, class SumBlock>
[[gnu::always_inline]] inline void sum_blocks(size_t count, Vector (&total)[vectors],
                                              const SumBlock& sum_block) noexcept {
    if (count <= block_terms) return sum_block(0, count, total);
    unrolled<vectors>([&](auto v) { total[v] = Vector{}; });
    for (size_t first = 0; first < count; first += super_block_terms) {
        const size_t last = std::min(first + super_block_terms, count);
        Vector of_blocks[vectors] = {};
        for (size_t begin = first; begin < last; begin += block_terms) {
            Vector block[vectors];
            sum_block(begin, std::min(begin + block_terms, last), block);
            unrolled<vectors>([&](auto v) { of_blocks[v] += block[v]; });
        }
        unrolled<vectors>([&](auto v) { total[v] += of_blocks[v]; });
    }
}

}  // namespace
}  // namespace embrow
