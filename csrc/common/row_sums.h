// Rows -> the sum of the rows, column by column: the loop that pooling and scattering share. Included after the pragma
// that sets the target, if any; the unnamed namespace keeps each includer's code its own.
//
// A `Rows` says which rows: their number size(), and for the i-th whether it counts, its first element and, if they
// are `weighted`, what it is multiplied by:
//
//     struct {
//         using value = T;
//         static constexpr bool weighted;
//         size_t size() const;
//         bool counts(size_t i) const;
//         const T* row(size_t i) const;
//         sum_of<T>::type weight(size_t i) const;
//         // Whether memory is asked for rows ahead; then where the row lies that is asked for while row i is added, if
//         // that counts: one that comes later, or row i itself. It may be any address.
//         static constexpr bool asks_ahead;
//         uintptr_t ahead(size_t i) const;
//     };
//
// Terms are added in the wider type, in the order of block_sums.h; sums are divided by `divisor`, and stay in that type
// if `out` is of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "common/block_sums.h"
#include "common/element.h"
#include "common/prefetch.h"

namespace embrow {
namespace {

// The memory of columns of the row that is asked for while row i is added.
template <class Rows>
[[gnu::always_inline]] inline void ask_ahead(const Rows& rows, size_t i, size_t first_column, size_t columns) noexcept {
    constexpr size_t element_bytes = sizeof(typename Rows::value);
    if constexpr (Rows::asks_ahead) prefetch_row(rows.ahead(i) + first_column * element_bytes, columns * element_bytes);
}

template <class Rows, class Out>
void sum_rows_serial(const Rows& rows, size_t divisor, Out* out, size_t first_column, size_t last_column) noexcept {
    using value = typename Rows::value;
    using sum = typename sum_of<value>::type;
    constexpr size_t width = 64;
    for (size_t column = first_column; column < last_column; column += width) {
        const size_t columns = std::min(width, last_column - column);
        sum total[width];
        sum_blocks(rows.size(), total, [&](size_t begin, size_t end, auto& block) noexcept {
            std::fill_n(block, width, sum{});
            for (size_t i = begin; i < end; ++i) {
                if (!rows.counts(i)) continue;
                ask_ahead(rows, i, column, columns);
                const value* row = rows.row(i) + column;
                if constexpr (Rows::weighted) {
                    const sum weight = rows.weight(i);
                    for (size_t j = 0; j < columns; ++j) block[j] += weight * static_cast<sum>(row[j]);
                } else {
                    for (size_t j = 0; j < columns; ++j) block[j] += static_cast<sum>(row[j]);
                }
            }
        });
        if (divisor != 1) {
            for (size_t j = 0; j < columns; ++j) total[j] /= static_cast<sum>(divisor);
        }
        for (size_t j = 0; j < columns; ++j) out[column + j] = narrow<Out>(total[j]);
    }
}

}  // namespace
}  // namespace embrow
