// Which kernel for the rows of one element type, in which groups of lanes, on how many blocks.
#pragma once

#include <algorithm>
#include <bit>
#include <type_traits>

#include "common/launch.h"
#include "update/update_kernels.cuh"

namespace embrow {
namespace {

// Enough to fill any device twice over; blocks then go on to further tiles.
constexpr int64_t most_blocks = 2048;

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

}  // namespace

template <class T>
void launch_update(const update_job& job, const device::wanted_rows& wanted, int64_t most, cudaStream_t stream) {
    with_columns(wanted.sums.grads, bits_of_places(job), [&]<class Of, int columns>() {
        if constexpr (std::is_same_v<Of, T>) {
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
        }
    });
}

}  // namespace embrow
