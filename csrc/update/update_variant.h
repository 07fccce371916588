// The update of rows by the rule of their job, for a `Lanes`. Included as update_rows.h is.
#pragma once

#include <span>

#include "update/row_means.h"
#include "update/update_rows.h"

namespace embrow {
namespace {

template <class Lanes>
void update_with(const update_job& job, std::span<const row_term> terms, size_t begin, size_t end, bool has_grads,
                 std::byte* sums) noexcept {
    switch (job.rule) {
        case update_rule::sgd:
            return update_run<Lanes, update_rule::sgd>(job, terms, begin, end, has_grads, sums);
        case update_rule::momentum:
            return update_run<Lanes, update_rule::momentum>(job, terms, begin, end, has_grads, sums);
        case update_rule::adagrad:
            return update_run<Lanes, update_rule::adagrad>(job, terms, begin, end, has_grads, sums);
        case update_rule::rowwise_adagrad:
            return update_by_means<Lanes>(job, terms, begin, end, has_grads, sums);
        case update_rule::adam:
            return update_run<Lanes, update_rule::adam>(job, terms, begin, end, has_grads, sums);
        case update_rule::amsgrad:
            return update_run<Lanes, update_rule::amsgrad>(job, terms, begin, end, has_grads, sums);
    }
}

}  // namespace
}  // namespace embrow
