// Device code around catching up: ids checked before rows are written, and the clock moved on.
#pragma once

#include <cstdint>

#include "common/ids.cuh"
#include "update/clock.h"

namespace embrow::device {

constexpr int catch_up_threads = 128;

// Records ids outside the table, and that there are any.
__global__ void __launch_bounds__(catch_up_threads)
    check_ids(id_list ids, int64_t rows, id_fault* fault, uint32_t* bad) {
    const int64_t position = thread_index();
    const int64_t id = checked_id(ids, rows, fault, position, true);
    if (id < 0 && position < static_cast<int64_t>(ids.count)) *bad = 1;
}

// One block; every thread goes back through its share of the steps as long as they count.
__global__ void __launch_bounds__(catch_up_threads)
    advance_clock(clock_view clock, clock_step* steps, step_numbers numbers) {
    const auto thread = static_cast<int64_t>(threadIdx.x);
    if (thread == 0 && clock.last == 0) steps[0] = {};
    if (!clock.stepwise) {
        for (int64_t at = static_cast<int64_t>(clock.last) - thread; at >= 0 && steps[at].counts();
             at -= catch_up_threads) {
            steps[at].add(numbers, clock.keeps_greatest);
        }
    }
    if (thread == 0) steps[clock.last + 1] = steps[clock.last].next(numbers);
}

}  // namespace embrow::device
