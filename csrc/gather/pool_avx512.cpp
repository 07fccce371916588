// Sums of float32 in vector registers of 64 bytes, all columns of most rows at once; the rest is left to AVX2's.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/prefetch.h"
#include "common/row_terms.h"
#include "common/variant.h"
#include "gather/pool.h"

EMBROW_BEGIN_TARGET(EMBROW_AVX512)
#include "gather/pool_bags.h"

namespace embrow {
namespace {

constexpr size_t lanes = 16;
constexpr size_t most_vectors = 24;  // of 32 registers, some are left for the weight and what is loaded

// Columns that neighboring vectors hold, `columns` of them from `column` on: all lanes but some of the last one's.
template <size_t vectors>
__mmask16 lanes_of_last(size_t columns) noexcept {
    return static_cast<__mmask16>(0xffffU >> (vectors * lanes - columns));
}

// Adds rows [begin, end), a block of them at most.
template <class Rows, size_t vectors>
[[gnu::always_inline]] inline void add_rows(const Rows& all, size_t begin, size_t end, size_t column, size_t columns,
                                            __m512 (&sums)[vectors]) noexcept {
    // A copy, whose parts stay in registers, as the sums do.
    const Rows rows = all;
    const __mmask16 of_last = lanes_of_last<vectors>(columns);
    const bool begin_lines = rows.begin_lines();  // so do the columns, whole vectors of them
    unrolled<vectors>([&](auto v) { sums[v] = _mm512_setzero_ps(); });
    for (size_t i = begin; i < end; ++i) {
        if (!rows.counts(i)) continue;
        const float* row = rows.row(i) + column;
        // Between the additions, as many requests at once would queue.
        const uintptr_t ahead = rows.ahead(i) + column * sizeof(float);
        unrolled<vectors>([&](auto v) {
            prefetch_line(ahead + v * cache_line);
            const float* from = row + v * lanes;
            const __m512 loaded = v + 1 < vectors ? _mm512_loadu_ps(from) : _mm512_maskz_loadu_ps(of_last, from);
            if constexpr (Rows::weighted) {
                sums[v] += rows.weight(i) * loaded;
            } else {
                sums[v] += loaded;
            }
        });
        if (!begin_lines) prefetch_line(ahead + columns * sizeof(float) - 1);
    }
}

template <size_t vectors>
[[gnu::always_inline]] inline void store_sums(__m512 (&sums)[vectors], size_t divisor, float* out,
                                              size_t columns) noexcept {
    if (divisor != 1) {
        unrolled<vectors>([&](auto v) { sums[v] /= static_cast<float>(divisor); });
    }
    unrolled<vectors - 1>([&](auto v) { _mm512_storeu_ps(out + v * lanes, sums[v]); });
    _mm512_mask_storeu_ps(out + (vectors - 1) * lanes, lanes_of_last<vectors>(columns), sums[vectors - 1]);
}

template <class Rows, size_t vectors>
[[gnu::noinline]] void add_block(const Rows& rows, size_t begin, size_t end, size_t column, size_t columns,
                                 __m512 (&block)[vectors]) noexcept {
    __m512 sums[vectors];
    add_rows(rows, begin, end, column, columns, sums);
    unrolled<vectors>([&](auto v) { block[v] = sums[v]; });
}

template <class Rows, size_t vectors>
void sum_columns(const Rows& rows, size_t column, size_t columns, size_t divisor, float* out) noexcept {
    __m512 sums[vectors];
    if (rows.size() <= block_terms) {
        add_rows(rows, 0, rows.size(), column, columns, sums);
    } else {
        sum_blocks(rows.size(), sums, [&](size_t begin, size_t end, auto& block) noexcept {
            add_block(rows, begin, end, column, columns, block);
        });
    }
    store_sums(sums, divisor, out + column, columns);
}

// For each number of vectors, from 1 on.
template <class Rows>
constexpr auto sums_of_vectors = []<size_t... i>(std::index_sequence<i...>) {
    return std::array{&sum_columns<Rows, i + 1>...};
}(std::make_index_sequence<most_vectors>{});

struct vector_sum {
    // Steps are as few as registers allow, and about as wide as each other.
    template <class T, class Rows>
    static void sum(const Rows& rows, size_t divisor, float* out, size_t dim) noexcept {
        if (dim == 0) return;
        const size_t vectors = (dim + lanes - 1) / lanes;
        const size_t steps = (vectors + most_vectors - 1) / most_vectors;
        const size_t step = (vectors + steps - 1) / steps * lanes;
        for (size_t column = 0; column < dim; column += step) {
            const size_t columns = std::min(step, dim - column);
            sums_of_vectors<Rows>[(columns + lanes - 1) / lanes - 1](rows, column, columns, divisor, out);
        }
    }
};

}  // namespace

void pool_bags_avx512(const pool_job& job, size_t first, size_t last) noexcept {
    if (job.type != element::float32 || job.mode == pooling::max) return pool_bags_avx2(job, first, last);
    pool_elements<vector_sum, float>(job, first, last);
}

}  // namespace embrow
EMBROW_END_TARGET
#endif
