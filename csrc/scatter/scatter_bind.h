// Addresses and sizes -> a scatter_job: what the bindings of the CPU's kernels and of a GPU's share.
#pragma once

#include "scatter/scatter.h"

namespace embrow {

inline scatter_job make_scatter_job(uintptr_t ids, size_t count, bool ids_are_int64, uintptr_t grads,
                                    int64_t grad_stride_bytes, uintptr_t out, int64_t rows, size_t dim, element type,
                                    int64_t padding_idx, bool mean) {
    return {.ids = {reinterpret_cast<const void*>(ids), count, ids_are_int64},
            .sources = nullptr,
            .grads = reinterpret_cast<const std::byte*>(grads),
            .grad_stride_bytes = grad_stride_bytes,
            .out = reinterpret_cast<std::byte*>(out),
            .rows = rows,
            .dim = dim,
            .type = type,
            .padding_idx = padding_idx,
            .mean = mean,
            .state = table_state::anything};
}

}  // namespace embrow
