// Eight vectors of columns at a time in registers.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>

#include "common/variant.h"
#include "scatter/scatter.h"

namespace embrow {
namespace {

// One vector of a row, as it is summed.
struct float32_lanes {
    using value = float;
    using sums = __m256;
    static constexpr size_t lanes = 8;
    EMBROW_TARGET_AVX2 static sums load(const value* from) noexcept { return _mm256_loadu_ps(from); }
    EMBROW_TARGET_AVX2 static void store(value* to, sums from) noexcept { _mm256_storeu_ps(to, from); }
};

struct bfloat16_lanes : float32_lanes {
    using value = bfloat16;
    EMBROW_TARGET_AVX2 static sums load(const value* from) noexcept {
        const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
    }
    EMBROW_TARGET_AVX2 static void store(value* to, sums from) noexcept {
        // As bfloat16::from.
        const __m256i wide = _mm256_castps_si256(from);
        const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(wide, 16), _mm256_set1_epi32(1));
        const __m256i rounded =
            _mm256_srli_epi32(_mm256_add_epi32(wide, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
        const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(from, from, _CMP_UNORD_Q));
        const __m256i kept = _mm256_blendv_epi8(rounded, _mm256_set1_epi32(0x7fc0), is_nan);
        const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(kept, kept), 0b1000);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(packed));
    }
};

struct float16_lanes : float32_lanes {
    using value = float16;
    EMBROW_TARGET_AVX2 static sums load(const value* from) noexcept {
        return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    }
    EMBROW_TARGET_AVX2 static void store(value* to, sums from) noexcept {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(from, _MM_FROUND_TO_NEAREST_INT));
    }
};

struct float64_lanes {
    using value = double;
    using sums = __m256d;
    static constexpr size_t lanes = 4;
    EMBROW_TARGET_AVX2 static sums load(const value* from) noexcept { return _mm256_loadu_pd(from); }
    EMBROW_TARGET_AVX2 static void store(value* to, sums from) noexcept { _mm256_storeu_pd(to, from); }
};

// Sums `vectors` vectors of columns from `column` on.
template <class Lanes, size_t vectors>
EMBROW_TARGET_AVX2 inline void sum_vectors(const scatter_job& job, std::span<const scatter_term> terms,
                                           typename Lanes::value* out, size_t column) noexcept {
    using sums = typename Lanes::sums;
    const auto row_of = [&](scatter_term term) {
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
EMBROW_TARGET_AVX2 void sum_columns(const scatter_job& job, std::span<const scatter_term> terms, size_t first_column,
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

void scatter_sum_avx2(const scatter_job& job, std::span<const scatter_term> terms, size_t first_column,
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
