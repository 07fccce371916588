// Sums in vector registers; maxima as the compiler makes them of the plain loop.
#if defined(__x86_64__)
#include <algorithm>

#include "common/lanes_avx2.h"
#include "common/row_terms.h"
#include "common/variant.h"
#include "gather/pool.h"

EMBROW_BEGIN_TARGET(EMBROW_AVX2)
#include "common/row_sums_avx2.h"
#include "gather/pool_bags.h"

namespace embrow {
namespace {

template <class T>
struct lanes_of;
template <>
struct lanes_of<float> : float32_lanes {};
template <>
struct lanes_of<double> : float64_lanes {};
template <>
struct lanes_of<bfloat16> : bfloat16_lanes {};
template <>
struct lanes_of<float16> : float16_lanes {};

struct vector_sum {
    template <class T, class Rows>
    static void sum(const Rows& rows, size_t divisor, T* out, size_t dim) noexcept {
        sum_rows_avx2<lanes_of<T>>(rows, divisor, out, 0, dim);
    }
};

}  // namespace

void pool_bags_avx2(const pool_job& job, size_t first, size_t last) noexcept {
    pool_with<vector_sum>(job, first, last);
}

}  // namespace embrow
EMBROW_END_TARGET
#endif
