// Which kernels, in which chunks, on how many blocks; where the parts of long bags lie.
#include "gather/pool_cuda.h"

#include <algorithm>
#include <bit>

#include "common/launch.h"
#include "common/workspace.h"
#include "gather/pool_kernels.cuh"

namespace embrow {
namespace {

constexpr int64_t part_alignment = 16;  // of their rows

constexpr int64_t round_up(int64_t value, int64_t multiple) {
    return ceil_div(value, multiple) * multiple;
}

template <class Value>
struct bag_parts {
    device::part_table<Value> blocks;
    device::part_table<Value> super_blocks;

    // Where they begin comes first, in one piece.
    bag_parts(pooling mode, int64_t dim, int64_t ids, int64_t longest, workspace_layout& memory) {
        if (longest < device::long_bag_ids) ids = 0;
        blocks.slots = ids / device::block_ids;
        super_blocks.slots = ids / device::super_block_ids;
        blocks.begins = memory.take<int32_t>(static_cast<size_t>(blocks.slots + super_blocks.slots));
        super_blocks.begins = blocks.begins + blocks.slots;
        for (auto* parts : {&blocks, &super_blocks}) {
            parts->columns = round_up(dim, part_alignment / static_cast<int64_t>(sizeof(float)));
            const auto values = static_cast<size_t>(parts->slots * parts->columns);
            parts->values = memory.take<Value>(values);
            parts->winners = memory.take<int32_t>(mode == pooling::max ? values : 0);
            parts->tallies = memory.take<device::id_tally>(static_cast<size_t>(parts->slots));
        }
    }

    size_t begin_bytes() const { return static_cast<size_t>(blocks.slots + super_blocks.slots) * sizeof(int32_t); }
};

device::group_layout lay_groups(int64_t works, int64_t row_chunks, int64_t chunk_bytes) {
    const int64_t segments = std::max<int64_t>(ceil_div(row_chunks, device::warp_lanes), 1);
    // Cut at the sectors of aligned rows.
    const int64_t segment_chunks =
        segments == 1 ? row_chunks : round_up(ceil_div(row_chunks, segments), device::sector_bytes / chunk_bytes);
    const auto lanes_log2 =
        static_cast<int>(std::bit_width(static_cast<uint64_t>(std::max<int64_t>(segment_chunks, 1) - 1)));
    return {.works = works,
            .segments = segments,
            .segment_chunks = segment_chunks,
            .row_chunks = row_chunks,
            .lanes_log2 = std::max(lanes_log2, device::least_lanes_log2)};
}

template <class... Parameters, class... Arguments>
void launch_groups(void (*kernel)(Parameters...), const device::group_layout& layout, cudaStream_t stream,
                   Arguments... arguments) {
    const int64_t groups_per_block = device::block_threads >> layout.lanes_log2;
    launch(kernel, ceil_div(layout.works * layout.segments, groups_per_block), device::block_threads, stream,
           arguments...);
}

template <class T, class Chunk, template <class, int> class Pooled>
void pool_chunks(const pool_job& job, std::byte* workspace, bag_faults* faults, cudaStream_t stream) {
    using value = typename sum_of<T>::type;
    using pooled = Pooled<value, sizeof(Chunk) / sizeof(T)>;
    constexpr int64_t chunk_bytes = sizeof(Chunk);
    const int64_t row_chunks = static_cast<int64_t>(job.table.row_bytes) / chunk_bytes;
    workspace_layout memory(workspace);
    const auto dim = static_cast<int64_t>(job.table.row_bytes / sizeof(T));
    const auto ids = static_cast<int64_t>(job.ids.count);
    const auto longest = job.bags.offsets.data == nullptr ? static_cast<int64_t>(job.bags.width) : ids;
    const bag_parts<value> parts(job.mode, dim, ids, longest, memory);
    if (parts.blocks.slots > 0) {
        EMBROW_CUDA_CHECK(cudaMemsetAsync(parts.blocks.begins, 0xff, parts.begin_bytes(), stream));
        launch_threads(device::find_parts, static_cast<int64_t>(job.bags.count), device::block_threads, stream,
                       job.bags, parts.blocks.begins, parts.super_blocks.begins);
        const auto layout = lay_groups(parts.blocks.slots, row_chunks, chunk_bytes);
        launch_groups(device::pool_blocks<T, Chunk, pooled>, layout, stream, job, parts.blocks, layout, &faults->ids);
    }
    if (parts.super_blocks.slots > 0) {
        constexpr int64_t columns = part_alignment / sizeof(value);
        const auto layout = lay_groups(parts.super_blocks.slots, parts.blocks.columns / columns, part_alignment);
        launch_groups(device::pool_super_blocks<Pooled<value, columns>>, layout, stream, parts.blocks,
                      parts.super_blocks, layout);
    }
    const auto layout = lay_groups(static_cast<int64_t>(job.bags.count), row_chunks, chunk_bytes);
    launch_groups(device::pool_bags<T, Chunk, pooled>, layout, stream, job, parts.blocks, parts.super_blocks, layout,
                  faults);
}

template <class T, template <class, int> class Pooled>
void pool_elements(const pool_job& job, std::byte* workspace, bag_faults* faults, cudaStream_t stream) {
    uint64_t together = reinterpret_cast<uintptr_t>(job.table.data) | reinterpret_cast<uintptr_t>(job.out) |
                        static_cast<uint64_t>(job.table.stride_bytes) | job.table.row_bytes;
    // Winners are written two at a time.
    if (reinterpret_cast<uintptr_t>(job.winners) % 16 != 0) together |= sizeof(T);
    if (together % 16 == 0) return pool_chunks<T, uint4, Pooled>(job, workspace, faults, stream);
    if (sizeof(T) == 8 || together % 8 == 0) {
        return pool_chunks<T, unsigned long long, Pooled>(job, workspace, faults, stream);
    }
    if constexpr (sizeof(T) <= 4) {
        if (sizeof(T) == 4 || together % 4 == 0) {
            return pool_chunks<T, unsigned, Pooled>(job, workspace, faults, stream);
        }
    }
    if constexpr (sizeof(T) == 2) pool_chunks<T, unsigned short, Pooled>(job, workspace, faults, stream);
}

template <template <class, int> class Pooled>
void pool_with(const pool_job& job, std::byte* workspace, bag_faults* faults, cudaStream_t stream) {
    switch (job.type) {
        case element::float32:
            return pool_elements<float, Pooled>(job, workspace, faults, stream);
        case element::float64:
            return pool_elements<double, Pooled>(job, workspace, faults, stream);
        case element::bfloat16:
            return pool_elements<bfloat16, Pooled>(job, workspace, faults, stream);
        case element::float16:
            return pool_elements<float16, Pooled>(job, workspace, faults, stream);
    }
}

}  // namespace

size_t pool_workspace_bytes(pooling mode, element type, int64_t dim, int64_t ids, int64_t longest) {
    workspace_layout memory(nullptr);
    if (type == element::float64) {
        bag_parts<double>(mode, dim, ids, longest, memory);
    } else {
        bag_parts<float>(mode, dim, ids, longest, memory);
    }
    return memory.bytes();
}

void pool_bags_cuda(const pool_job& job, std::byte* workspace, bag_faults* faults, cudaStream_t stream) {
    if (job.bags.count == 0) return;
    if (job.mode == pooling::max) return pool_with<device::pooled_maxima>(job, workspace, faults, stream);
    pool_with<device::pooled_sums>(job, workspace, faults, stream);
}

std::string bad_offset_message(const id_fault& fault) {
    const std::string value = std::to_string(fault.value);
    const std::string at = "offsets[" + std::to_string(fault.position) + "]";
    if (fault.position == 0 && fault.value != 0) {
        return "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. "
               "However, got " +
               value;
    }
    if (fault.value > fault.rows) {
        return "offsets[-1] can not be greater than input's length " + std::to_string(fault.rows) + " but got " + at +
               " of " + value;
    }
    return "offsets must not fall, but " + at + " of " + value + " is less than the one before it";
}

}  // namespace embrow
