// Which kernel, in which groups of lanes, on how many blocks.
#include "update/update_cuda.h"

#include <algorithm>
#include <bit>

#include "common/launch.h"
#include "update/update_kernels.cuh"

namespace embrow {
namespace {

// Enough to fill any device several times over; blocks then go on to further tiles.
constexpr int64_t most_blocks = 8192;

row_gradients gradients_of(const update_job& job) {
    return {
        .data = job.grads, .stride_bytes = job.grad_stride_bytes, .dim = job.dim, .type = job.type, .sources = nullptr};
}

template <class T, update_rule rule, int columns>
void launch_tiles(const update_job& job, const device::wanted_rows& wanted, int64_t most, cudaStream_t stream) {
    const auto chunks = static_cast<int64_t>(job.dim) / columns;
    int lanes_log2 = std::bit_width(static_cast<unsigned>(std::clamp<int64_t>(chunks, 1, device::warp_lanes) - 1));
    // Four lanes draw random words together.
    if (job.rounding.on && columns == static_cast<int>(word_columns)) lanes_log2 = std::max(lanes_log2, 2);
    const int groups = device::warp_lanes >> lanes_log2;
    const int tile = std::min(groups * device::update_steps, device::warp_lanes);
    const int64_t blocks = std::min(ceil_div(ceil_div(most, tile), device::update_warps), most_blocks);
    launch(device::update_tiles<T, rule, columns>, blocks, device::update_threads, stream, job,
           lane_numbers<device::column_lane<T>>(job.numbers), wanted, lanes_log2, tile);
}

uint64_t bits_of_places(const update_job& job) {
    uint64_t together = 0;
    const auto add = [&](const row_block& block) {
        together |= reinterpret_cast<uintptr_t>(block.data) | static_cast<uint64_t>(block.stride_bytes);
    };
    add(job.table);
    add(job.first);
    if (job.rule != update_rule::rowwise_adagrad) add(job.second);  // its sums are read one at a time
    add(job.greatest);
    return together;
}

void launch_update(const update_job& job, const device::wanted_rows& wanted, int64_t most, cudaStream_t stream) {
    if (most == 0 || (job.dim == 0 && job.clock.steps == nullptr)) return;
    with_columns(gradients_of(job), bits_of_places(job), [&]<class T, int columns>() {
        switch (job.rule) {
            case update_rule::sgd:
                return launch_tiles<T, update_rule::sgd, columns>(job, wanted, most, stream);
            case update_rule::momentum:
                return launch_tiles<T, update_rule::momentum, columns>(job, wanted, most, stream);
            case update_rule::adagrad:
                return launch_tiles<T, update_rule::adagrad, columns>(job, wanted, most, stream);
            case update_rule::rowwise_adagrad:
                return launch_tiles<T, update_rule::rowwise_adagrad, columns>(job, wanted, most, stream);
            case update_rule::adam:
                return launch_tiles<T, update_rule::adam, columns>(job, wanted, most, stream);
            case update_rule::amsgrad:
                return launch_tiles<T, update_rule::amsgrad, columns>(job, wanted, most, stream);
        }
    });
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
    launch_update(job, {.source = device::row_source::runs, .sums = sums, .bad = runs.bad},
                  static_cast<int64_t>(runs.most), stream);
}

void catch_up_ids_cuda(const update_job& job, std::byte* workspace, id_fault* fault, cudaStream_t stream) {
    const auto count = static_cast<int64_t>(job.ids.count);
    if (count == 0) return;
    auto* bad = reinterpret_cast<uint32_t*>(workspace);
    EMBROW_CUDA_CHECK(cudaMemsetAsync(bad, 0, sizeof *bad, stream));
    launch(device::check_ids, ceil_div(count, device::update_threads), device::update_threads, stream, job.ids,
           job.rows, fault, bad);
    launch_update(job, {.source = device::row_source::ids, .sums = {}, .bad = bad}, count, stream);
}

void catch_up_all_cuda(const update_job& job, cudaStream_t stream) {
    launch_update(job, {.source = device::row_source::table, .sums = {}, .bad = nullptr}, job.rows, stream);
}

void advance_clock_cuda(const clock_view& clock, clock_step* steps, const step_numbers& numbers, cudaStream_t stream) {
    launch(device::advance_clock, 1, device::update_threads, stream, clock, steps, numbers);
}

}  // namespace embrow
