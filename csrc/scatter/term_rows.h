// The terms of one table row as the `Rows` that row_sums.h adds up; included as that is.
#pragma once

#include <span>

#include "common/row_sums.h"
#include "scatter/scatter.h"

namespace embrow {
namespace {

// `shared`: the ids of a bag share its gradient, else every id has one of its own.
template <class T, bool shared>
struct term_rows {
    using value = T;
    static constexpr bool weighted = shared;
    static constexpr bool asks_ahead = false;
    const scatter_job& job;
    std::span<const row_term> terms;

    size_t size() const noexcept { return terms.size(); }
    static bool counts(size_t) noexcept { return true; }
    const T* row(size_t i) const noexcept {
        const size_t position = term_position(terms[i]);
        const size_t grad = shared ? job.sources[position].row : position;
        return reinterpret_cast<const T*>(job.grads + grad * job.grad_stride_bytes);
    }
    typename sum_of<T>::type weight(size_t i) const noexcept {
        return static_cast<typename sum_of<T>::type>(job.sources[term_position(terms[i])].weight);
    }
};

}  // namespace
}  // namespace embrow
