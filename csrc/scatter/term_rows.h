// The terms of one table row as the `Rows` that row_sums.h adds up; included as that is.
#pragma once

#include <span>

#include "common/row_sums.h"
#include "scatter/scatter.h"

namespace embrow {
namespace {

// Where every id has a gradient of its own.
template <class T>
struct term_rows {
    using value = T;
    static constexpr bool weighted = false;
    const scatter_job& job;
    std::span<const row_term> terms;

    size_t size() const noexcept { return terms.size(); }
    static bool counts(size_t) noexcept { return true; }
    template <size_t columns>
    static void ask_ahead(size_t, size_t) noexcept {}
    const T* row(size_t i) const noexcept {
        return reinterpret_cast<const T*>(job.grads + term_position(terms[i]) * job.grad_stride_bytes);
    }
};

// Where the ids of a bag share its gradient.
template <class T>
struct shared_term_rows {
    using value = T;
    static constexpr bool weighted = true;
    const scatter_job& job;
    std::span<const row_term> terms;

    size_t size() const noexcept { return terms.size(); }
    static bool counts(size_t) noexcept { return true; }
    template <size_t columns>
    static void ask_ahead(size_t, size_t) noexcept {}
    const T* row(size_t i) const noexcept {
        return reinterpret_cast<const T*>(job.grads + source(i).row * job.grad_stride_bytes);
    }
    typename sum_of<T>::type weight(size_t i) const noexcept {
        return static_cast<typename sum_of<T>::type>(source(i).weight);
    }

  private:
    const gradient_source& source(size_t i) const noexcept { return job.sources[term_position(terms[i])]; }
};

}  // namespace
}  // namespace embrow
