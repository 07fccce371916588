// row runs, row gradients -> the sum of each run's gradients, made where a kernel needs it: see run_sums.cuh.
//
// Terms are added in the order of block_sums.h, with the bits of the CPU's kernels. What would serialize, whole blocks
// of runs longer than one, is summed beforehand by as many threads as it takes.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "common/element.h"
#include "common/gradient_source.h"
#include "common/row_runs.h"

namespace embrow {

// The gradients of a batch: rows `stride_bytes` apart, elements contiguous.
struct row_gradients {
    const std::byte* data;
    int64_t stride_bytes;
    size_t dim;
    element type;
    const gradient_source* sources;  // one per id; null: each id has its own row, as it is
};

struct run_sums {
    row_runs runs;
    row_gradients grads;
    void* parts;  // of each whole block of a long run the sum, and where a super block begins the sum of that
};

size_t run_sums_bytes(size_t ids, size_t dim, element type);

// Launches what kernels that call `sum_run` need done before them; `workspace` is of run_sums_bytes, aligned to 256
// bytes.
run_sums sum_long_runs_cuda(const row_runs& runs, const row_gradients& grads, std::byte* workspace,
                            cudaStream_t stream);

// How many columns one access moves, `columns` such that all of it is aligned: calls body<T, columns>().
// `together` is the bitwise or of the addresses and strides that rows have, apart from those of the gradients.
template <class Body>
void with_columns(const row_gradients& grads, uint64_t together, const Body& body) {
    const size_t item = element_bytes(grads.type);
    together |= reinterpret_cast<uintptr_t>(grads.data) | static_cast<uint64_t>(grads.stride_bytes) | grads.dim * item;
    size_t columns = 16 / item;
    while (columns > 1 && together % (columns * item) != 0) columns /= 2;
    const auto of = [&]<class T>() {
        constexpr int most = 16 / sizeof(T);
        if (columns == most) return body.template operator()<T, most>();
        if (columns == most / 2) return body.template operator()<T, most / 2>();
        if constexpr (most >= 4) {
            if (columns == most / 4) return body.template operator()<T, most / 4>();
        }
        if constexpr (most >= 8) body.template operator()<T, most / 8>();
    };
    switch (grads.type) {
        case element::float32:
            return of.template operator()<float>();
        case element::float64:
            return of.template operator()<double>();
        case element::bfloat16:
            return of.template operator()<bfloat16>();
        case element::float16:
            return of.template operator()<float16>();
    }
}

}  // namespace embrow
