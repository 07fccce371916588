// Which kernel, for how many columns a thread, on how many blocks.
#include "scatter/scatter_cuda.h"

#include "common/launch.h"
#include "common/run_sums.h"
#include "common/workspace.h"
#include "scatter/scatter_kernels.cuh"

namespace embrow {
namespace {

struct scatter_memory {
    std::byte* runs;
    std::byte* sums;
    size_t bytes;
};

scatter_memory lay_out(const scatter_job& job, addition how, std::byte* workspace) {
    const size_t count = job.ids.count;
    workspace_layout layout(workspace);
    scatter_memory memory{};
    memory.runs = layout.take<std::byte>(row_runs_bytes(count, job.rows));
    if (how == addition::ordered) memory.sums = layout.take<std::byte>(run_sums_bytes(count, job.dim, job.type));
    memory.bytes = layout.bytes();
    return memory;
}

}  // namespace

size_t scatter_rows_bytes(const scatter_job& job, addition how) {
    return lay_out(job, how, nullptr).bytes;
}

void scatter_rows_cuda(const scatter_job& job, addition how, std::byte* workspace, id_fault* fault,
                       cudaStream_t stream) {
    const scatter_memory memory = lay_out(job, how, workspace);
    const row_runs runs = find_row_runs_cuda(job.ids, job.rows, job.padding_idx, fault, memory.runs, stream);
    if (runs.most == 0 || job.dim == 0) return;
    const row_gradients grads{.data = job.grads,
                              .stride_bytes = job.grad_stride_bytes,
                              .dim = job.dim,
                              .type = job.type,
                              .sources = job.sources};
    const auto most = static_cast<int64_t>(runs.most);
    const auto out = reinterpret_cast<uintptr_t>(job.out);
    if (how == addition::ordered) {
        const run_sums sums = sum_long_runs_cuda(runs, grads, memory.sums, stream);
        with_columns(grads, out, [&]<class T, int columns>() {
            const int64_t row_chunks = static_cast<int64_t>(job.dim) / columns;
            const int64_t threads = ceil_div(most, device::runs_in_flight) * row_chunks;
            launch_threads(device::scatter_runs<T, columns>, threads, device::sum_threads, stream, sums,
                           reinterpret_cast<T*>(job.out), row_chunks, job.mean);
        });
        return;
    }
    const run_sums sums{.runs = runs, .grads = grads, .parts = nullptr};
    with_columns(grads, out, [&]<class T, int columns>() {
        if constexpr (sizeof(T) >= sizeof(float)) {
            const int64_t row_chunks = static_cast<int64_t>(job.dim) / columns;
            const int64_t parts = most + (static_cast<int64_t>(runs.terms) - 1) / device::piece_terms;
            launch_threads(device::scatter_pieces<T, columns>, parts * row_chunks, device::sum_threads, stream, sums,
                           reinterpret_cast<T*>(job.out), parts, row_chunks, job.mean);
        }
    });
}

}  // namespace embrow
