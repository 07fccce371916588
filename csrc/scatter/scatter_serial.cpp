// The plain loop of the scatter.
#include "scatter/term_rows.h"

namespace embrow {
namespace {

template <class T>
void sum_columns(const scatter_job& job, std::span<const row_term> terms, size_t first_column,
                 size_t last_column) noexcept {
    auto* out = reinterpret_cast<T*>(job.out) + term_row(terms[0]) * job.dim;
    const size_t divisor = job.mean ? terms.size() : 1;
    if (job.sources == nullptr) {
        sum_rows_serial(term_rows<T, false>{job, terms}, divisor, out, first_column, last_column);
    } else {
        sum_rows_serial(term_rows<T, true>{job, terms}, divisor, out, first_column, last_column);
    }
}

}  // namespace

void scatter_sum_serial(const scatter_job& job, std::span<const row_term> terms, size_t first_column,
                        size_t last_column) noexcept {
    switch (job.type) {
        case element::float32:
            return sum_columns<float>(job, terms, first_column, last_column);
        case element::float64:
            return sum_columns<double>(job, terms, first_column, last_column);
        case element::bfloat16:
            return sum_columns<bfloat16>(job, terms, first_column, last_column);
        case element::float16:
            return sum_columns<float16>(job, terms, first_column, last_column);
    }
}

}  // namespace embrow
