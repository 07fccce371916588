// One vector register of elements at a time, four for the sums.
#if defined(__x86_64__)
#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>

#include "common/lanes_avx2.h"
#include "common/variant.h"
#include "update/update.h"

EMBROW_BEGIN_TARGET("avx2,bmi,bmi2,lzcnt,fma,f16c")
#include "update/update_rows.h"

namespace embrow {
namespace {

template <class Loads>
struct vector_of : Loads {
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
};

}  // namespace

void update_rows_avx2(const update_job& job, std::span<const row_term> terms, size_t begin, size_t end,
                      bool has_grads) noexcept {
    switch (job.type) {
        case element::float32:
            return update_with<vector_of<float32_lanes>>(job, terms, begin, end, has_grads);
        case element::float64:
            return update_with<vector_of<float64_lanes>>(job, terms, begin, end, has_grads);
        case element::bfloat16:
            return update_with<vector_of<bfloat16_lanes>>(job, terms, begin, end, has_grads);
        case element::float16:
            return update_with<vector_of<float16_lanes>>(job, terms, begin, end, has_grads);
    }
}

}  // namespace embrow
EMBROW_END_TARGET
#endif
