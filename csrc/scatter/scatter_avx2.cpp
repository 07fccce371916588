// Eight vectors of columns at a time in registers.
#if defined(__x86_64__)
#include <algorithm>

#include "common/lanes_avx2.h"
#include "common/variant.h"
#include "scatter/scatter.h"

namespace embrow {
namespace {

// Sums `vectors` vectors of columns from `column` on.
template <class Lanes, size_t vectors>
EMBROW_TARGET_AVX2 inline void sum_vectors(const scatter_job& job, std::span<const row_term> terms,
                                           typename Lanes::value* out, size_t column) noexcept {
    using sums = typename Lanes::sums;
    const auto row_of = [&](row_term term) {
        return reinterpret_cast<const typename Lanes::value*>(job.grads + term_position(term) * job.grad_stride_bytes) +
               column;
    };
    sums total[vectors] = {};
    for (size_t begin = 0; begin < terms.size(); begin += block_terms) {
        const size_t end = std::min(begin + block_terms, terms.size());
        sums block[vectors] = {};
        for (size_t i = begin; i < end; ++i) {
            const auto* row = row_of(terms[i]);
            for (size_t v = 0; v < vectors; ++v) block[v] += Lanes::load(row + v * Lanes::lanes);
        }
        for (size_t v = 0; v < vectors; ++v) total[v] += block[v];
    }
    if (job.mean) {
        for (size_t v = 0; v < vectors; ++v)
            total[v] /= static_cast<typename sum_of<typename Lanes::value>::type>(terms.size());
    }
    for (size_t v = 0; v < vectors; ++v) Lanes::store(out + column + v * Lanes::lanes, total[v]);
}

template <class Lanes>
EMBROW_TARGET_AVX2 void sum_columns(const scatter_job& job, std::span<const row_term> terms, size_t first_column,
                                    size_t last_column) noexcept {
    auto* out = reinterpret_cast<typename Lanes::value*>(job.out) + term_row(terms[0]) * job.dim;
    size_t column = first_column;
    for (; column + 8 * Lanes::lanes <= last_column; column += 8 * Lanes::lanes) {
        sum_vectors<Lanes, 8>(job, terms, out, column);
    }
    for (; column + 2 * Lanes::lanes <= last_column; column += 2 * Lanes::lanes) {
        sum_vectors<Lanes, 2>(job, terms, out, column);
    }
    for (; column + Lanes::lanes <= last_column; column += Lanes::lanes) sum_vectors<Lanes, 1>(job, terms, out, column);
    if (column == last_column) return;
    if (last_column - first_column >= Lanes::lanes) {
        // The last vector overlaps the one before it and finds the same sums there.
        sum_vectors<Lanes, 1>(job, terms, out, last_column - Lanes::lanes);
    } else {
        scatter_sum_serial(job, terms, column, last_column);
    }
}

}  // namespace

void scatter_sum_avx2(const scatter_job& job, std::span<const row_term> terms, size_t first_column,
                      size_t last_column) noexcept {
    switch (job.type) {
        case element::float32:
            return sum_columns<float32_lanes>(job, terms, first_column, last_column);
        case element::float64:
            return sum_columns<float64_lanes>(job, terms, first_column, last_column);
        case element::bfloat16:
            return sum_columns<bfloat16_lanes>(job, terms, first_column, last_column);
        case element::float16:
            return sum_columns<float16_lanes>(job, terms, first_column, last_column);
    }
}

}  // namespace embrow
#endif
