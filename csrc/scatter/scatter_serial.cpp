// The plain loop of the scatter.
#include <algorithm>

#include "scatter/scatter.h"

namespace embrow {
namespace {

template <class T>
void sum_columns(const scatter_job& job, std::span<const row_term> terms, size_t first_column,
                 size_t last_column) noexcept {
    using sum = typename sum_of<T>::type;
    auto* out = reinterpret_cast<T*>(job.out) + term_row(terms[0]) * job.dim;
    constexpr size_t width = 64;
    for (size_t column = first_column; column < last_column; column += width) {
        const size_t columns = std::min(width, last_column - column);
        sum total[width] = {};
        for (size_t begin = 0; begin < terms.size(); begin += block_terms) {
            sum block[width] = {};
            for (row_term term : terms.subspan(begin, std::min(block_terms, terms.size() - begin))) {
                const auto* row = reinterpret_cast<const T*>(job.grads + term_position(term) * job.grad_stride_bytes);
                for (size_t j = 0; j < columns; ++j) block[j] += static_cast<sum>(row[column + j]);
            }
            for (size_t j = 0; j < columns; ++j) total[j] += block[j];
        }
        if (job.mean) {
            for (size_t j = 0; j < columns; ++j) total[j] /= static_cast<sum>(terms.size());
        }
        for (size_t j = 0; j < columns; ++j) out[column + j] = narrow<T>(total[j]);
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
