// Device code of padding; pad_cuda.h is the contract, pad_cuda.cu chooses the grids.
//
// A row of the rectangle is written in slots, the stretches of 16 bytes of memory that it lies in. One lane writes a
// slot, at once if it is all this row's; neighbouring groups of lanes take neighbouring rows. int32, a width of 7:
//
//     memory    | . . . a | a a a a | a a b b | b b b b | b . . .
//     slots       0         1         2                              of row a, whose phase is 3
//                                     0         1         2          of row b, whose phase is 2
#pragma once

#include <cstdint>

#include "common/ids.cuh"
#include "pad/pad_cuda.h"

namespace embrow::device {

constexpr int pad_threads = 128;
constexpr int slot_bytes = sizeof(uint4);

template <class Id>
constexpr int slot_ids = slot_bytes / static_cast<int>(sizeof(Id));

template <class Id>
struct pad_job {
    ragged_ids ids;
    pad_layout<Id> layout;
    int64_t kept;
    bool truncate_left;
    Id* out;
    int64_t* lengths;
    int lanes_log2;    // lanes to a row or a segment of one
    int64_t segments;  // of a row
    int64_t segment_slots;
};

// A slot of 16 bytes, whatever the type.
template <class Id>
union slot {
    uint4 whole;
    Id ids[slot_ids<Id>];
};

template <class Id, class From>
__global__ void __launch_bounds__(pad_threads) pad_rows(pad_job<Id> job) {
    constexpr int per_slot = slot_ids<Id>;
    const int64_t thread = thread_index();
    const int64_t group = thread >> job.lanes_log2;
    const int64_t row = group / job.segments;
    if (row >= job.ids.rows) return;
    const int64_t segment = group % job.segments;
    const auto lane = static_cast<int>(thread & ((1 << job.lanes_log2) - 1));

    const int64_t begin = __ldg(job.ids.offsets + row);
    const int64_t length = __ldg(job.ids.offsets + row + 1) - begin;
    const int64_t count = min(length, job.kept);
    if (segment == 0 && lane == 0) job.lengths[row] = count;
    const auto width = static_cast<int64_t>(job.layout.width);
    const int64_t lead = job.layout.left ? width - count : 0;
    // values[c - lead] is the id of column c.
    const From* const values =
        static_cast<const From*>(job.ids.values) + begin + (job.truncate_left ? length - count : 0);
    Id* const out = job.out + row * width;
    const auto phase = static_cast<int64_t>(reinterpret_cast<uintptr_t>(out) % slot_bytes / sizeof(Id));

    const int64_t first = segment * job.segment_slots;
    const int64_t slots = min(first + job.segment_slots, (phase + width + per_slot - 1) / per_slot);
    for (int64_t at = first + lane; at < slots; at += 1 << job.lanes_log2) {
        const int64_t column = at * per_slot - phase;
        slot<Id> made;
#pragma unroll
        for (int i = 0; i < per_slot; ++i) {
            const int64_t place = column + i - lead;
            made.ids[i] = place >= 0 && place < count ? static_cast<Id>(__ldg(values + place)) : job.layout.value;
        }
        if (column >= 0 && column + per_slot <= width) {
            __stcs(reinterpret_cast<uint4*>(out + column), made.whole);
        } else {
#pragma unroll
            for (int i = 0; i < per_slot; ++i) {
                if (column + i >= 0 && column + i < width) __stcs(out + column + i, made.ids[i]);
            }
        }
    }
}

__global__ void clear_facts(ragged_facts* facts) {
    *facts = {0, -1, -1};
}

// One thread to an offset or a value.
__global__ void __launch_bounds__(pad_threads) check_ragged(ragged_ids ids, bool to_int32, ragged_facts* facts) {
    using word = unsigned long long;
    const auto lower = [](int64_t& position, int64_t at) {
        atomicMin(reinterpret_cast<word*>(&position), static_cast<word>(at));
    };
    const int64_t at = thread_index();
    int64_t length = 0;
    if (at < ids.rows) {
        length = __ldg(ids.offsets + at + 1) - __ldg(ids.offsets + at);
        if (length < 0) lower(facts->decreasing, at + 1);
    }
    for (int distance = warp_lanes / 2; distance > 0; distance /= 2) {
        length = max(length, static_cast<int64_t>(__shfl_xor_sync(all_lanes, length, distance)));
    }
    if (at % warp_lanes == 0 && length > 0)
        atomicMax(reinterpret_cast<word*>(&facts->longest), static_cast<word>(length));
    if (to_int32 && at < ids.count) {
        const int64_t value = __ldg(static_cast<const int64_t*>(ids.values) + at);
        if (value != static_cast<int32_t>(value)) lower(facts->too_wide, at);
    }
}

}  // namespace embrow::device
