// Sums in vector registers.
#if defined(__x86_64__)
#include <algorithm>
#include <span>

#include "common/lanes_avx2.h"
#include "common/row_terms.h"
#include "common/variant.h"
#include "scatter/scatter.h"

EMBROW_BEGIN_TARGET(EMBROW_AVX2)
#include "common/row_sums_avx2.h"
#include "scatter/term_rows.h"

namespace embrow {
namespace {

template <class Lanes>
void sum_columns(const scatter_job& job, std::span<const row_term> terms, size_t first_column,
                 size_t last_column) noexcept {
    using value = typename Lanes::value;
    auto* out = reinterpret_cast<value*>(job.out) + term_row(terms[0]) * job.dim;
    const size_t divisor = job.mean ? terms.size() : 1;
    if (job.sources == nullptr) {
        sum_rows_avx2<Lanes>(term_rows<value, false>{job, terms}, divisor, out, first_column, last_column);
    } else {
        sum_rows_avx2<Lanes>(term_rows<value, true>{job, terms}, divisor, out, first_column, last_column);
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
EMBROW_END_TARGET
#endif
