// Device code: bags -> which gradient each of their ids has.
#pragma once

#include <cstdint>

#include "common/element.cuh"
#include "common/ids.cuh"
#include "gather/bags.cuh"
#include "scatter/scatter_cuda.h"

namespace embrow::device {

constexpr int bag_threads = 256;

// The last bag that begins at `position` or before it.
__device__ inline int64_t bag_of(const bag_list& bags, int64_t position) {
    const auto count = static_cast<int64_t>(bags.count);
    if (bags.offsets.data == nullptr) return min(position / static_cast<int64_t>(bags.width), count - 1);
    int64_t bag = 0;
    for (int64_t among = count; among > 1;) {
        const int64_t half = among / 2;
        if (bag_begin(bags, bag + half) <= position) bag += half;
        among -= half;
    }
    return bag;
}

// Padding leaves its bag's mean. Bags hold little of it, so few additions meet.
__global__ void __launch_bounds__(bag_threads)
    count_padding(id_list ids, bag_list bags, int64_t padding_idx, uint32_t* padding) {
    const int64_t position = thread_index();
    if (position >= static_cast<int64_t>(ids.count) || load_id(ids, position) != padding_idx) return;
    atomicAdd(padding + bag_of(bags, position), 1U);
}

// `padding`: how many ids of each bag are; null: none, or it does not matter.
template <class T>
__global__ void __launch_bounds__(bag_threads)
    find_sources(bag_list bags, bool mean, const T* weights, const uint32_t* padding, gradient_source* sources) {
    const int64_t position = thread_index();
    if (position >= static_cast<int64_t>(bags.ids)) return;
    const int64_t bag = bag_of(bags, position);
    double weight = 1;
    if (weights != nullptr) {
        weight = widen(weights[position]);
    } else if (mean) {
        const auto ids = static_cast<int64_t>(bags.ids);
        const int64_t end = bag + 1 == static_cast<int64_t>(bags.count) ? ids : bag_begin(bags, bag + 1);
        const int64_t kept = end - bag_begin(bags, bag) - (padding == nullptr ? 0 : padding[bag]);
        weight /= static_cast<double>(kept);
    }
    sources[position] = {weight, static_cast<uint64_t>(bag)};
}

}  // namespace embrow::device
