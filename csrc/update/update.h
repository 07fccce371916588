// ids, row gradients, table, state -> table, state: one step of an optimizer for the rows that have a gradient.
//
// ids     count, int64 or int32, contiguous
// grads   count x dim, rows `grad_stride_bytes` apart, elements contiguous
// table   rows x dim, rows `stride_bytes` apart, elements contiguous; so are `first`, `second`, `greatest`
//
// A row's gradients are added in the order of the batch, in blocks (see `block_terms`), times `scale`; then the row is
// updated, once, by one thread: neither the thread count nor the variant changes a bit. All arithmetic on bfloat16 and
// float16 is in float32, with one rounding per element written, to nearest or stochastic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "common/element.h"
#include "common/ids.h"
#include "common/row_terms.h"
#include "update/clock.h"

namespace embrow {

// For a row of weights p with the gradient g. All begin with g += decay * p; p *= shrink.
enum class update_rule : uint8_t {
    sgd,              // p -= direct * g
    momentum,         // first = beta1 * first + gain * g;  p -= size * first + direct * g
    adagrad,          // second += g^2;  p -= size * g / (sqrt(second) + eps)
    rowwise_adagrad,  // the same with one float32 `second` a row, the sum of mean(g^2); rows cannot catch up
    adam,             // first += (1 - beta1) * (g - first);  second = beta2 * second + (1 - beta2) * g^2
                      // p -= size * first / (sqrt(second) + eps)
    amsgrad,          // the same, with greatest = max(greatest, second) in place of the last `second`
};

struct row_block {
    std::byte* data;
    int64_t stride_bytes;
};

// Of 16-bit elements; see stochastic.h. A row is written at most once in a step of the optimizer, `step`.
struct stochastic_rounding {
    bool on;
    uint64_t seed;
    uint32_t step;
};

struct update_job {
    update_rule rule;
    element type;
    id_list ids;
    const std::byte* grads;
    int64_t grad_stride_bytes;
    double scale;
    int64_t rows;
    size_t dim;
    row_block table;
    row_block first;
    row_block second;
    row_block greatest;
    step_numbers numbers;
    stochastic_rounding rounding;
    // One per row; rows where it is false are passed over, gradients or not. Null: all are trained.
    const bool* trained;
    // Where rows catch up: the history before this step, and the step that each row is up to date with.
    clock_view clock;
    int32_t* row_steps;
};

// Updates the rows whose runs of terms start in [begin, end). With `has_grads` false rows only catch up, and the
// numbers of the job are not used; else `sums` has room for the sums of a row's gradients.
using update_kernel = void(const update_job& job, std::span<const row_term> terms, size_t begin, size_t end,
                           bool has_grads, std::byte* sums) noexcept;
update_kernel update_rows_serial;
#if defined(__x86_64__)
update_kernel update_rows_avx2;
update_kernel update_rows_avx512;
#endif

// Returns the first bad id, in which case nothing has been written. The caller advances the clock afterwards.
std::optional<bad_id> update_rows(const update_job& job, int threads);

struct caught_up {
    std::optional<bad_id> bad;  // in which case nothing has been written
    size_t rows = 0;            // that were behind
};

// Brings rows up to date with the clock: those of `ids`, or every row.
caught_up catch_up_ids(const update_job& job, int threads);
size_t catch_up_all(const update_job& job, int threads);

}  // namespace embrow
