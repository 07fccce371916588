// Sums of float32 in vector registers of 64 bytes, all columns of most rows at once; the rest is left to AVX2's.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "common/prefetch.h"
#include "common/row_terms.h"
#include "common/variant.h"
#include "gather/pool.h"

EMBROW_BEGIN_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi,bmi2,lzcnt,fma,f16c")
#include "gather/pool_bags.h"

namespace embrow {
namespace {

constexpr size_t lanes = 16;
constexpr size_t most_vectors = 24;  // of 32 registers, some are left for the weight and what is loaded

// Sums columns [column, column + columns) of rows [begin, end), a block of them at most: to `block`, or, if that is
// null, divided to `out`.
template <class Rows, size_t vectors>
void sum_vectors(const Rows& all, size_t begin, size_t end, size_t column, size_t columns, size_t divisor, float* out,
                 __m512* block) noexcept {
    // A copy, whose parts stay in registers, as the sums do.
    const Rows rows = all;
    const auto of_last = static_cast<__mmask16>(0xffffU >> (vectors * lanes - columns));
    const bool begin_lines = rows.begin_lines();  // so do the columns, whole vectors of them
    __m512 sums[vectors];
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
    if (block != nullptr) {
        unrolled<vectors>([&](auto v) { block[v] = sums[v]; });
        return;
    }
    if (divisor != 1) {
        unrolled<vectors>([&](auto v) { sums[v] /= static_cast<float>(divisor); });
    }
    unrolled<vectors - 1>([&](auto v) { _mm512_storeu_ps(out + column + v * lanes, sums[v]); });
    _mm512_mask_storeu_ps(out + column + (vectors - 1) * lanes, of_last, sums[vectors - 1]);
}

// For each number of vectors, from 1 on.
template <class Rows>
constexpr auto sums_of_vectors = []<size_t... i>(std::index_sequence<i...>) {
    return std::array{&sum_vectors<Rows, i + 1>...};
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
            sum_columns(rows, column, std::min(step, dim - column), divisor, out);
        }
    }

  private:
    template <class Rows>
    static void sum_columns(const Rows& rows, size_t column, size_t columns, size_t divisor, float* out) noexcept {
        const size_t vectors = (columns + lanes - 1) / lanes;
        auto* const sum_block = sums_of_vectors<Rows>[vectors - 1];
        if (rows.size() <= block_terms) {
            return sum_block(rows, 0, rows.size(), column, columns, divisor, out, nullptr);
        }
        __m512 total[most_vectors];
        sum_blocks(rows.size(), total, [&](size_t begin, size_t end, auto& block) noexcept {
            sum_block(rows, begin, end, column, columns, 1, nullptr, block);
            std::fill(block + vectors, block + most_vectors, _mm512_setzero_ps());
        });
        float sums[most_vectors * lanes];
        std::memcpy(sums, total, sizeof sums);
        for (size_t j = 0; j < columns; ++j) out[column + j] = sums[j] / static_cast<float>(divisor);
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
