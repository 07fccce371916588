// Rows -> the sum of the rows, up to twelve vectors of columns at a time in registers, of AVX2 or wider; the bits of
// row_sums.h, and included as that is.
#pragma once

#if defined(__x86_64__)
#include <type_traits>

#include "common/lanes_avx2.h"
#include "common/row_sums.h"

namespace embrow {
namespace {

// Sums `vectors` vectors of columns from `column` on.
template <class Lanes, size_t vectors, class Rows, class Out>
inline void sum_vectors(const Rows& all, size_t divisor, Out* out, size_t column) noexcept {
    // Only sums of 16-bit elements are of another type, float.
    using stores = std::conditional_t<std::is_same_v<Out, typename Lanes::value>, Lanes, float32_lanes>;
    using value = typename Lanes::value;
    using sum = typename sum_of<value>::type;
    constexpr size_t vector_bytes = Lanes::lanes * sizeof(value);
    typename Lanes::sums total[vectors];
    sum_blocks(all.size(), total, [&](size_t begin, size_t end, auto& block) noexcept {
        // A copy, whose parts stay in registers, as the sums do.
        const Rows rows = all;
        typename Lanes::sums sums[vectors];
        unrolled<vectors>([&](auto v) { sums[v] = typename Lanes::sums{}; });
        for (size_t i = begin; i < end; ++i) {
            if (!rows.counts(i)) continue;
            const auto* row = rows.row(i) + column;
            [[maybe_unused]] sum weight{};
            if constexpr (Rows::weighted) weight = rows.weight(i);
            // Between the additions, as many requests at once would queue.
            [[maybe_unused]] uintptr_t ahead = 0;
            if constexpr (Rows::asks_ahead) ahead = rows.ahead(i) + column * sizeof(value);
            unrolled<vectors>([&](auto v) {
                if (Rows::asks_ahead && v * vector_bytes % cache_line == 0) prefetch_line(ahead + v * vector_bytes);
                const auto loaded = Lanes::load(row + v * Lanes::lanes);
                if constexpr (Rows::weighted) {
                    sums[v] += weight * loaded;
                } else {
                    sums[v] += loaded;
                }
            });
            if constexpr (Rows::asks_ahead) prefetch_line(ahead + vectors * vector_bytes - 1);
        }
        unrolled<vectors>([&](auto v) { block[v] = sums[v]; });
    });
    if (divisor != 1) {
        unrolled<vectors>([&](auto v) { total[v] /= static_cast<sum>(divisor); });
    }
    unrolled<vectors>([&](auto v) { stores::store(out + column + v * Lanes::lanes, total[v]); });
}

// As many steps of `vectors` as there is room for; returns the column behind them.
template <class Lanes, size_t vectors, class Rows, class Out>
size_t sum_steps(const Rows& rows, size_t divisor, Out* out, size_t column, size_t last_column) noexcept {
    constexpr size_t columns = vectors * Lanes::lanes;
    for (; column + columns <= last_column; column += columns) sum_vectors<Lanes, vectors>(rows, divisor, out, column);
    return column;
}

// Twelve sums leave registers for the weight and what is loaded; steps are as few as that allows, and about as wide as
// each other. The columns that they leave over take one step more, which reaches back into columns before them and
// finds the same sums there.
template <class Lanes, class Rows, class Out>
void sum_rows_avx2(const Rows& rows, size_t divisor, Out* out, size_t first_column, size_t last_column) noexcept {
    constexpr size_t lanes = Lanes::lanes;
    const size_t vectors = (last_column - first_column) / lanes;
    const size_t steps = std::max<size_t>((vectors + 11) / 12, 1);
    const size_t share = (vectors + steps - 1) / steps;
    const size_t per_step = steps == 1 ? share : share <= 8 ? 8 : share <= 10 ? 10 : 12;
    size_t column = first_column;
    if (per_step >= 12) {
        column = sum_steps<Lanes, 12>(rows, divisor, out, column, last_column);
    } else if (per_step >= 10) {
        column = sum_steps<Lanes, 10>(rows, divisor, out, column, last_column);
    } else if (per_step >= 8) {
        column = sum_steps<Lanes, 8>(rows, divisor, out, column, last_column);
    } else if (per_step >= 4) {
        column = sum_steps<Lanes, 4>(rows, divisor, out, column, last_column);
    } else if (per_step >= 2) {
        column = sum_steps<Lanes, 2>(rows, divisor, out, column, last_column);
    } else if (per_step == 1) {
        column = sum_steps<Lanes, 1>(rows, divisor, out, column, last_column);
    } else {
        return sum_rows_serial(rows, divisor, out, column, last_column);
    }
    const size_t left = last_column - column;
    if (left == 0) return;
    if (left <= lanes) return sum_vectors<Lanes, 1>(rows, divisor, out, last_column - lanes);
    if (left <= 2 * lanes) return sum_vectors<Lanes, 2>(rows, divisor, out, last_column - 2 * lanes);
    if (left <= 4 * lanes) return sum_vectors<Lanes, 4>(rows, divisor, out, last_column - 4 * lanes);
    if (left <= 8 * lanes) return sum_vectors<Lanes, 8>(rows, divisor, out, last_column - 8 * lanes);
    sum_vectors<Lanes, 12>(rows, divisor, out, last_column - 12 * lanes);
}

}  // namespace
}  // namespace embrow
#endif
