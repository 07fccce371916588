// Addresses and sizes -> an update_job: what the bindings of the CPU's kernels and of a GPU's share.
#pragma once

#include <utility>

#include "update/update.h"

namespace embrow {

using row_address = std::pair<uintptr_t, int64_t>;  // of a tensor's first row, and the bytes from row to row

inline update_job make_update_job(update_rule rule, element type, int64_t rows, size_t dim, uintptr_t row_steps,
                                  uintptr_t trained) {
    update_job job{};
    job.rule = rule;
    job.type = type;
    job.scale = 1;
    job.rows = rows;
    job.dim = dim;
    job.trained = reinterpret_cast<const bool*>(trained);
    job.row_steps = reinterpret_cast<int32_t*>(row_steps);
    return job;
}

inline void place_rows(update_job& job, const row_address& table, const row_address& first, const row_address& second,
                       const row_address& greatest) {
    const auto block_of = [](const row_address& of) {
        return row_block{reinterpret_cast<std::byte*>(of.first), of.second};
    };
    job.table = block_of(table);
    job.first = block_of(first);
    job.second = block_of(second);
    job.greatest = block_of(greatest);
}

}  // namespace embrow
