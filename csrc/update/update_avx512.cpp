// Vector registers of 64 bytes, of float32; other types and rows of fewer than 16 columns are left to AVX2's.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "common/lanes_avx2.h"
#include "common/variant.h"
#include "update/update.h"

EMBROW_BEGIN_TARGET(EMBROW_AVX512)
#include "common/row_sums_avx2.h"
#include "update/update_variant.h"

namespace embrow {
namespace {

struct eight_lanes : float32_lanes {
    using wide = __m256;
    static wide all(double number) noexcept { return _mm256_set1_ps(static_cast<float>(number)); }
};

struct sixteen_lanes {
    using at_most_eight = eight_lanes;  // lanes of at most eight columns
    using value = float;
    using sums = __m512;
    using wide = __m512;
    static constexpr size_t lanes = 16;
    static sums load(const value* from) noexcept { return _mm512_loadu_ps(from); }
    static void store(value* to, sums from) noexcept { _mm512_storeu_ps(to, from); }
    static wide all(double number) noexcept { return _mm512_set1_ps(static_cast<float>(number)); }
    // Of GCC 12's _mm512_sqrt_ps GCC itself warns.
    static wide root(wide of) noexcept { return _mm512_maskz_sqrt_ps(0xffff, of); }
    template <class Mask>
    static bool any(Mask mask) noexcept {
        const auto bits = reinterpret_cast<__m512i>(mask);
        return _mm512_test_epi32_mask(bits, bits) != 0;
    }
    template <class Rows>
    static void sum_rows(const Rows& rows, float* out, size_t dim) noexcept {
        sum_rows_avx2<sixteen_lanes>(rows, 1, out, 0, dim);
    }
};

}  // namespace

void update_rows_avx512(const update_job& job, std::span<const row_term> terms, size_t begin, size_t end,
                        bool has_grads, std::byte* sums) noexcept {
    if (job.type != element::float32 || job.dim < sixteen_lanes::lanes) {
        return update_rows_avx2(job, terms, begin, end, has_grads, sums);
    }
    update_with<sixteen_lanes>(job, terms, begin, end, has_grads, sums);
}

}  // namespace embrow
EMBROW_END_TARGET
#endif
