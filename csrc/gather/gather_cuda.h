// ids, table -> rows on a GPU: out[i] = table[ids[i]], bit for bit.
//
// The same contract as gather.h, all of it in memory that the device reaches. The launch goes to the caller's stream,
// allocates nothing and waits for nothing, so that it can be captured in a graph. An id outside the table leaves its
// row of `out` zero and is recorded; all other rows are copied.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "gather/gather.h"

namespace embrow {

// The lowest position with an id outside the table, in device memory that belongs to one stream. Launches that share a
// record keep the lowest position among them.
struct gather_fault {
    static constexpr uint64_t none = UINT64_MAX;

    uint64_t position;
    int64_t value;
    int64_t rows;  // of the table
};

// Makes `fault` say that nothing went wrong; needed once before the first launch.
void clear_fault_cuda(gather_fault* fault, cudaStream_t stream);

// Waits for the stream, then returns what its launches recorded; clears the record.
gather_fault take_fault_cuda(gather_fault* fault, cudaStream_t stream);

void gather_rows_cuda(const row_table& table, const id_list& ids, std::byte* out, gather_fault* fault,
                      cudaStream_t stream);

}  // namespace embrow
