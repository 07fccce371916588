// ids, row gradients -> table gradient: out[v] = the sum of grads[i] over every i with ids[i] == v.
//
// ids     count, int32 or int64, contiguous
// grads   count x dim, rows `grad_stride_bytes` apart, elements contiguous; with `sources`, bags x dim
// out     rows x dim, contiguous; must not overlap the inputs
//
// Each row is summed once, by one thread. A row's terms are added in the order of the batch, in blocks (see
// `block_terms`), so that neither the thread count nor the variant changes a bit. bfloat16 and float16 are summed in
// float32 and rounded once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "common/element.h"
#include "common/gradient_source.h"
#include "common/ids.h"
#include "common/row_terms.h"
#include "gather/pool.h"

namespace embrow {

// What `out` holds before it is written: anything, which is cleared; zeros; or no page yet, since it is a mapping fresh
// from the system.
enum class table_state : uint8_t { anything, zeros, untouched };

struct scatter_job {
    id_list ids;
    const gradient_source* sources;  // one per id; null: grads[i] belongs to ids[i]
    const std::byte* grads;
    int64_t grad_stride_bytes;
    std::byte* out;
    int64_t rows;
    size_t dim;
    element type;
    int64_t padding_idx;  // its row stays zero; -1: none
    bool mean;            // divide each row by its number of terms
    table_state state;
};

// Sums the terms of one row over columns [first_column, last_column) into out.
using scatter_kernel = void(const scatter_job& job, std::span<const row_term> terms, size_t first_column,
                            size_t last_column) noexcept;
scatter_kernel scatter_sum_serial;
#if defined(__x86_64__)
scatter_kernel scatter_sum_avx2;
#endif

// Returns the first bad id, in which case nothing is written but zeros to what is to be cleared.
std::optional<bad_id> scatter_rows(const scatter_job& job, int threads);

// The gradient of pool_bags for sums and means, whose `weights` these are; sets the sources of `job`.
std::optional<bad_id> scatter_bags(scatter_job job, const bag_list& bags, pooling mode, const std::byte* weights,
                                   int threads);

}  // namespace embrow
