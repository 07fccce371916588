// What is launched in which order.
#include "update/update_cuda.h"

#include "common/launch.h"
#include "update/catch_up_kernels.cuh"
#include "update/update_kernels.cuh"

namespace embrow {

// Of update_launch.cuh; in update_cuda_<type>.cu, which compile side by side.
template <class T>
void launch_update(const update_job& job, const device::wanted_rows& wanted, int64_t most, cudaStream_t stream);

namespace {

row_gradients gradients_of(const update_job& job) {
    return {
        .data = job.grads, .stride_bytes = job.grad_stride_bytes, .dim = job.dim, .type = job.type, .sources = nullptr};
}

void launch_type(const update_job& job, const device::wanted_rows& wanted, int64_t most, cudaStream_t stream) {
    if (most == 0 || (job.dim == 0 && job.clock.steps == nullptr)) return;
    switch (job.type) {
        case element::float32:
            return launch_update<float>(job, wanted, most, stream);
        case element::float64:
            return launch_update<double>(job, wanted, most, stream);
        case element::bfloat16:
            return launch_update<bfloat16>(job, wanted, most, stream);
        case element::float16:
            return launch_update<float16>(job, wanted, most, stream);
    }
}

}  // namespace

size_t update_workspace_bytes(element type, int64_t rows, size_t dim, size_t count) {
    return row_runs_bytes(count, rows) + run_sums_bytes(count, dim, type);
}

void update_rows_cuda(const update_job& job, std::byte* workspace, id_fault* fault, cudaStream_t stream) {
    if (job.ids.count == 0) return;
    const row_runs runs = find_row_runs_cuda(job.ids, job.rows, -1, fault, workspace, stream);
    std::byte* behind = workspace + row_runs_bytes(job.ids.count, job.rows);
    const run_sums sums = sum_long_runs_cuda(runs, gradients_of(job), behind, stream);
    launch_type(job, {.source = device::row_source::runs, .sums = sums, .bad = runs.bad},
                static_cast<int64_t>(runs.most), stream);
}

void catch_up_ids_cuda(const update_job& job, std::byte* workspace, id_fault* fault, cudaStream_t stream) {
    const auto count = static_cast<int64_t>(job.ids.count);
    if (count == 0) return;
    auto* bad = reinterpret_cast<uint32_t*>(workspace);
    EMBROW_CUDA_CHECK(cudaMemsetAsync(bad, 0, sizeof *bad, stream));
    launch_threads(device::check_ids, count, device::catch_up_threads, stream, job.ids, job.rows, fault, bad);
    launch_type(job,
                {.source = device::row_source::ids,
                 .sums = {.runs = {}, .grads = gradients_of(job), .parts = nullptr},
                 .bad = bad},
                count, stream);
}

void catch_up_all_cuda(const update_job& job, cudaStream_t stream) {
    launch_type(job,
                {.source = device::row_source::table,
                 .sums = {.runs = {}, .grads = gradients_of(job), .parts = nullptr},
                 .bad = nullptr},
                job.rows, stream);
}

void advance_clock_cuda(const clock_view& clock, clock_step* steps, const step_numbers& numbers, cudaStream_t stream) {
    launch(device::advance_clock, 1, device::catch_up_threads, stream, clock, steps, numbers);
}

}  // namespace embrow
