// ids in bags, table -> one row per bag: out[b] = the sum, mean or maximum of table[ids[i]] over the ids i of bag b.
//
// table    rows x dim, rows `stride_bytes` apart, elements contiguous
// ids      int32 or int64, contiguous; those that equal `padding_idx` are left out
// weights  one per id, elements of the table's type: what its row is multiplied by; null: 1. For sums only.
// out      bags x dim, contiguous; must not overlap the inputs. A bag without ids is zero.
// winners  for maxima, if not null: bags x dim, the id whose row has the maximum, the first of equals; -1 without ids
//
// A bag's rows are added in the order of its ids, in blocks (see `block_terms`), by one thread, so that neither the
// thread count nor the variant changes a bit. bfloat16 and float16 are summed in float32 and rounded once. A NaN is a
// maximum only where it comes first, as in PyTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/element.h"
#include "gather/bags.h"
#include "gather/gather.h"

namespace embrow {

enum class pooling : uint8_t { sum, mean, max };

struct pool_job {
    pooling mode;
    element type;
    row_table table;
    id_list ids;
    bag_list bags;
    const std::byte* weights;
    int64_t padding_idx;  // -1: none
    std::byte* out;
    int64_t* winners;
};

// Pools bags [first, last), all of whose ids are rows of the table.
using pool_kernel = void(const pool_job& job, size_t first, size_t last) noexcept;
pool_kernel pool_bags_serial;
#if defined(__x86_64__)
pool_kernel pool_bags_avx2;
pool_kernel pool_bags_avx512;
#endif

// Pools all bags on at most `threads` threads; returns the first bad id, after which `out` holds part of the rows.
std::optional<bad_id> pool_bags(const pool_job& job, int threads);

}  // namespace embrow
