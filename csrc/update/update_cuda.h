// ids, row gradients, table, state -> table, state on a GPU: one step of an optimizer, with the bits of update.h.
//
// The same contract as update.h, all of it in memory that the device reaches: fewer than 2^31 ids and rows, row_steps
// and the clock's steps among it. Launches go to the caller's stream, allocate nothing and wait for nothing, so that
// they can be captured in a graph. If an id lies outside the table it is recorded and nothing is written.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "common/id_fault.h"
#include "update/update.h"

namespace embrow {

// Of the workspace that the launches for `count` ids take, at an address that is a multiple of 256.
size_t update_workspace_bytes(element type, int64_t rows, size_t dim, size_t count);

void update_rows_cuda(const update_job& job, std::byte* workspace, id_fault* fault, cudaStream_t stream);

// Brings rows up to date with the clock: those of `ids`, or every row.
void catch_up_ids_cuda(const update_job& job, std::byte* workspace, id_fault* fault, cudaStream_t stream);
void catch_up_all_cuda(const update_job& job, cudaStream_t stream);

// Adds a step to the history in steps[0 .. clock.last], which has room for another.
void advance_clock_cuda(const clock_view& clock, clock_step* steps, const step_numbers& numbers, cudaStream_t stream);

}  // namespace embrow
