// Rows -> vector registers: loads and stores of each element type, widened to what it is summed in.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>

#include "common/element.h"
#include "common/variant.h"

namespace embrow {

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

}  // namespace embrow
#endif
