// CUB's radix sort over only the bits that rows have; stable, so positions stay in order.
#include "common/row_runs.h"

#include <thrust/iterator/counting_iterator.h>

#include <algorithm>
#include <bit>
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_select.cuh>

#include "common/launch.h"
#include "common/row_runs_kernels.cuh"
#include "common/workspace.h"

namespace embrow {
namespace {

using positions_from = thrust::counting_iterator<uint32_t>;

// Where everything lies. What the sort leaves in the other halves of its buffers is overwritten by the runs.
struct run_memory {
    uint32_t* term_rows[2];
    uint32_t* positions[2];
    device::run_counts* counts;
    std::byte* scratch;
    size_t scratch_bytes;
    size_t bytes;
};

// Padding and bad ids sort as `rows`.
int row_bits(int64_t rows) {
    return std::max(static_cast<int>(std::bit_width(static_cast<uint64_t>(rows))), 1);
}

run_memory lay_out(size_t ids, int64_t rows, std::byte* workspace) {
    const auto count = static_cast<uint32_t>(ids);
    run_memory memory{};
    cub::DoubleBuffer<uint32_t> none;
    size_t sort_bytes = 0;
    EMBROW_CUDA_CHECK(
        cub::DeviceRadixSort::SortPairs(nullptr, sort_bytes, none, none, count, 0, row_bits(rows), cudaStream_t{}));
    size_t select_bytes = 0;
    EMBROW_CUDA_CHECK(cub::DeviceSelect::If(nullptr, select_bytes, positions_from(0), static_cast<uint32_t*>(nullptr),
                                            static_cast<uint32_t*>(nullptr), count, device::starts_run{nullptr},
                                            cudaStream_t{}));
    workspace_layout layout(workspace);
    for (auto** half : {memory.term_rows, memory.positions}) {
        for (int i = 0; i < 2; ++i) half[i] = layout.take<uint32_t>(ids + 1);
    }
    memory.counts = layout.take<device::run_counts>(1);
    memory.scratch_bytes = std::max(sort_bytes, select_bytes);
    memory.scratch = layout.take<std::byte>(memory.scratch_bytes);
    memory.bytes = layout.bytes();
    return memory;
}

}  // namespace

size_t row_runs_bytes(size_t ids, int64_t rows) {
    return lay_out(ids, rows, nullptr).bytes;
}

row_runs find_row_runs_cuda(const id_list& ids, int64_t rows, int64_t padding_idx, id_fault* fault,
                            std::byte* workspace, cudaStream_t stream) {
    run_memory memory = lay_out(ids.count, rows, workspace);
    const auto count = static_cast<uint32_t>(ids.count);
    const size_t most = std::min(ids.count, static_cast<size_t>(rows));
    EMBROW_CUDA_CHECK(cudaMemsetAsync(memory.counts, 0, sizeof(device::run_counts), stream));
    cub::DoubleBuffer<uint32_t> term_rows(memory.term_rows[0], memory.term_rows[1]);
    cub::DoubleBuffer<uint32_t> positions(memory.positions[0], memory.positions[1]);
    if (count > 0) {
        launch_threads(device::make_terms, count, device::run_threads, stream, ids, rows, padding_idx, fault,
                       term_rows.Current(), positions.Current(), memory.counts);
    }
    if (most > 0) {
        EMBROW_CUDA_CHECK(cub::DeviceRadixSort::SortPairs(memory.scratch, memory.scratch_bytes, term_rows, positions,
                                                          count, 0, row_bits(rows), stream));
        const device::starts_run starts{term_rows.Current()};
        EMBROW_CUDA_CHECK(cub::DeviceSelect::If(memory.scratch, memory.scratch_bytes, positions_from(0),
                                                term_rows.Alternate(), &memory.counts->starts, count, starts, stream));
        launch_threads(device::name_runs, static_cast<int64_t>(most), device::run_threads, stream, term_rows.Current(),
                       count, static_cast<uint32_t>(rows), term_rows.Alternate(), positions.Alternate(), memory.counts);
    }
    return {.positions = positions.Current(),
            .sorted = term_rows.Current(),
            .rows = positions.Alternate(),
            .begins = term_rows.Alternate(),
            .count = &memory.counts->runs,
            .bad = &memory.counts->bad,
            .most = most,
            .terms = ids.count};
}

}  // namespace embrow
