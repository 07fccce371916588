// ids -> runs: the positions of a batch sorted by row, and where each row's run lies; all of it on the device.
//
//     ids         7  2  7  0  2  7        padding_idx 0
//     positions   1  4 | 0  2  5 | 3
//     sorted      2  2   7  7  7   rows
//     rows        2      7                one per run
//     begins      0      2         5
//
// Nothing is allocated and nothing waited for, so that the launches can be captured in a graph.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "common/id_fault.h"
#include "common/ids.h"

namespace embrow {

// Arrays may be read four entries at a time, from every fourth on: also where only the first of the four is there.
struct row_runs {
    const uint32_t* positions;  // terms sorted by row, then by position; padding and bad ids are behind all others
    const uint32_t* sorted;     // the row of each of them; of padding and bad ids `rows` of the table
    const uint32_t* rows;       // the row of each run, ascending
    const uint32_t* begins;     // where in `positions` each run begins; runs + 1 entries
    const uint32_t* count;      // how many runs, none if any id is bad: one number on the device
    const uint32_t* bad;        // not 0 if any id was outside the table: one number on the device
    size_t most;                // runs at most, known to the host: min(ids, rows)
    size_t terms;               // as many as ids
};

// Ids and rows are below 2^31, which the caller has checked.
size_t row_runs_bytes(size_t ids, int64_t rows);

// Runs lie in `workspace`, of row_runs_bytes, aligned to 256 bytes. The first bad id is recorded in `fault`.
// `padding_idx` -1: none.
row_runs find_row_runs_cuda(const id_list& ids, int64_t rows, int64_t padding_idx, id_fault* fault,
                            std::byte* workspace, cudaStream_t stream);

}  // namespace embrow
