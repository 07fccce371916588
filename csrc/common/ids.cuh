// Ids on the device: read, checked, and the first that lies outside the table recorded.
#pragma once

#include <cstdint>

#include "common/id_fault.h"
#include "common/ids.h"

namespace embrow::device {

constexpr int warp_lanes = 32;
constexpr int sector_bytes = 32;
constexpr unsigned all_lanes = 0xffffffffU;

// Of all threads of the launch.
__device__ inline int64_t thread_index() {
    return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

__device__ inline int64_t load_id(const id_list& ids, int64_t position) {
    return ids.is_int64 ? __ldg(static_cast<const int64_t*>(ids.data) + position)
                        : __ldg(static_cast<const int32_t*>(ids.data) + position);
}

// The value must be that of the position, though they are two words and threads may overtake one another. Only threads
// that lowered the position write, and each until it has seen the position stand still, so the last write is the
// lowest's.
__device__ inline void record_fault(id_fault* fault, const id_list& ids, int64_t rows, int64_t position) {
    static_assert(sizeof(unsigned long long) == sizeof(fault->position));
    auto* lowest = reinterpret_cast<unsigned long long*>(&fault->position);
    const auto mine = static_cast<unsigned long long>(position);
    if (*static_cast<volatile unsigned long long*>(lowest) <= mine || atomicMin(lowest, mine) <= mine) return;
    volatile id_fault* record = fault;
    uint64_t seen;
    do {
        seen = record->position;
        if (seen == id_fault::none) return;  // the host has just read it and cleared it
        record->value = load_id(ids, static_cast<int64_t>(seen));
        record->rows = rows;
        __threadfence();
    } while (record->position != seen);
}

// The id at `position`, or -1 if there is none or it lies outside the table. Positions rise with the lanes, so one lane
// speaks for the warp's faults. All lanes must call.
__device__ inline int64_t checked_id(const id_list& ids, int64_t rows, id_fault* fault, int64_t position,
                                     bool recording) {
    const bool given = position < static_cast<int64_t>(ids.count);
    const int64_t id = given ? load_id(ids, position) : 0;
    const bool bad = given && (id < 0 || id >= rows);
    const unsigned bad_lanes = __ballot_sync(all_lanes, bad);
    const auto lane = static_cast<int>(threadIdx.x % warp_lanes);
    if (recording && bad_lanes != 0 && lane == __ffs(static_cast<int>(bad_lanes)) - 1) {
        record_fault(fault, ids, rows, position);
    }
    return given && !bad ? id : -1;
}

}  // namespace embrow::device
