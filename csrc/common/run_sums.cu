#include "common/run_sums.h"

#include "common/launch.h"
#include "common/run_sums_kernels.cuh"

namespace embrow {

size_t run_sums_bytes(size_t ids, size_t dim, element type) {
    const size_t sum_bytes = type == element::float64 ? sizeof(double) : sizeof(float);
    return ids / block_terms * dim * sum_bytes;
}

run_sums sum_long_runs_cuda(const row_runs& runs, const row_gradients& grads, std::byte* workspace,
                            cudaStream_t stream) {
    const run_sums sums{.runs = runs, .grads = grads, .parts = workspace};
    if (runs.most == 0 || runs.terms <= block_terms || grads.dim == 0) return sums;
    with_columns(grads, 0, [&]<class T, int columns>() {
        const int64_t row_chunks = static_cast<int64_t>(grads.dim) / columns;
        const auto launch_slots = [&](auto* kernel, size_t part_terms) {
            const auto slots = static_cast<int64_t>(runs.terms / part_terms);
            if (slots == 0) return;
            launch_threads(kernel, slots * row_chunks, device::sum_threads, stream, sums, slots, row_chunks);
        };
        launch_slots(device::sum_blocks<T, columns>, block_terms);
        launch_slots(device::sum_super_blocks<T, columns>, super_block_terms);
    });
    return sums;
}

}  // namespace embrow
