// Vector registers of 32 bytes.
#if defined(__x86_64__)
#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "common/lanes_avx2.h"
#include "common/variant.h"
#include "update/update.h"

EMBROW_BEGIN_TARGET(EMBROW_AVX2)
#include "common/row_sums_avx2.h"
#include "update/update_variant.h"

namespace embrow {
namespace {

template <class Loads>
struct vector_of : Loads {
    using at_most_eight = vector_of;  // lanes of at most eight columns
    using wide = typename Loads::sums;
    static wide all(double number) noexcept {
        if constexpr (Loads::lanes == 8) {
            return _mm256_set1_ps(static_cast<float>(number));
        } else {
            return _mm256_set1_pd(number);
        }
    }
    static wide root(wide of) noexcept {
        if constexpr (Loads::lanes == 8) {
            return _mm256_sqrt_ps(of);
        } else {
            return _mm256_sqrt_pd(of);
        }
    }
    template <class Mask>
    static bool any(Mask mask) noexcept {
        const auto bits = reinterpret_cast<__m256i>(mask);
        return !_mm256_testz_si256(bits, bits);
    }
    template <class Rows>
    static void sum_rows(const Rows& rows, typename sum_of<typename Loads::value>::type* out, size_t dim) noexcept {
        sum_rows_avx2<Loads>(rows, 1, out, 0, dim);
    }

    // Of 16-bit elements alone.
    typedef uint32_t words __attribute__((vector_size(32)));
    struct product {
        words high;
        words low;
    };
    static words all_words(uint32_t word) noexcept { return words{} + word; }
    static words count_from(uint32_t first) noexcept { return words{0, 1, 2, 3, 4, 5, 6, 7} + first; }
    static product multiply(words a, uint32_t b) noexcept {
        const auto factors = reinterpret_cast<__m256i>(a);
        const __m256i by = _mm256_set1_epi32(static_cast<int>(b));
        const __m256i even = _mm256_mul_epu32(factors, by);
        const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(factors, 32), by);
        return {reinterpret_cast<words>(_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0b10101010)),
                reinterpret_cast<words>(_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0b10101010))};
    }
    static words bits_of(wide number) noexcept { return reinterpret_cast<words>(number); }
    static wide number_of(words bits) noexcept { return reinterpret_cast<wide>(bits); }
    // Of words below 2^24.
    static wide to_number(words word) noexcept { return _mm256_cvtepi32_ps(reinterpret_cast<__m256i>(word)); }
    static wide floor(wide of) noexcept { return _mm256_floor_ps(of); }
};

}  // namespace

void update_rows_avx2(const update_job& job, std::span<const row_term> terms, size_t begin, size_t end, bool has_grads,
                      std::byte* sums) noexcept {
    switch (job.type) {
        case element::float32:
            return update_with<vector_of<float32_lanes>>(job, terms, begin, end, has_grads, sums);
        case element::float64:
            return update_with<vector_of<float64_lanes>>(job, terms, begin, end, has_grads, sums);
        case element::bfloat16:
            return update_with<vector_of<bfloat16_lanes>>(job, terms, begin, end, has_grads, sums);
        case element::float16:
            return update_with<vector_of<float16_lanes>>(job, terms, begin, end, has_grads, sums);
    }
}

}  // namespace embrow
EMBROW_END_TARGET
#endif
