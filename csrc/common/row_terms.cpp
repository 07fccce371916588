// Least-significant-digit radix sort over the bits that rows have; stable, so positions stay in order.
#include "common/row_terms.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace embrow {
namespace {

constexpr int max_digit_bits = 11;  // 2,048 counters of 4 bytes: a quarter of the first-level cache
constexpr size_t few = 256;         // below it the counters cost more than comparisons

}  // namespace

void sort_terms(std::span<row_term> terms, std::span<row_term> scratch, int64_t rows) {
    if (terms.size() < few) {
        std::sort(terms.begin(), terms.end());
        return;
    }
    const int bits = static_cast<int>(std::bit_width(static_cast<uint64_t>(std::max<int64_t>(rows - 1, 1))));
    const int passes = (bits + max_digit_bits - 1) / max_digit_bits;
    const int digit_bits = (bits + passes - 1) / passes;
    const uint64_t mask = (uint64_t{1} << digit_bits) - 1;
    std::span<row_term> from = terms;
    std::span<row_term> to = scratch;
    for (int shift = 32; shift < 32 + bits; shift += digit_bits) {
        std::array<uint32_t, size_t{1} << max_digit_bits> next{};
        for (row_term term : from) ++next[(term >> shift) & mask];
        uint32_t before = 0;
        for (size_t digit = 0; digit <= mask; ++digit) before += std::exchange(next[digit], before);
        for (row_term term : from) to[next[(term >> shift) & mask]++] = term;
        std::swap(from, to);
    }
    if (from.data() != terms.data()) std::copy(from.begin(), from.end(), terms.begin());
}

}  // namespace embrow
