// ids -> batch on a GPU: ragged rows into a rectangle.
//
// The same contract as pad.h, all of it in memory that the device reaches. Launches go to the caller's stream, allocate
// nothing and wait for nothing, so that they can be captured in a graph.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "pad/pad.h"

namespace embrow {

// Ragged ids of one dtype: row r is values[offsets[r]] to values[offsets[r + 1]].
struct ragged_ids {
    const void* values;
    int64_t count;
    bool is_int64;
    const int64_t* offsets;  // rows + 1
    int64_t rows;
};

// What is to be known of ragged ids before they are padded; positions are the lowest, -1 for none.
struct ragged_facts {
    int64_t longest;     // row; 0 for no rows
    int64_t decreasing;  // position of an offset that is less than the one before
    int64_t too_wide;    // position of a value that does not fit int32; looked for if asked
};

void check_ragged_cuda(const ragged_ids& ids, bool to_int32, ragged_facts* facts, cudaStream_t stream);

// lengths[r]: how many ids of row r are kept. The caller has checked that offsets rise from 0 to `count`.
template <class Id>
void pad_rows_cuda(const ragged_ids& ids, const pad_layout<Id>& layout, int64_t kept, bool truncate_left, Id* out,
                   int64_t* lengths, cudaStream_t stream);

}  // namespace embrow
