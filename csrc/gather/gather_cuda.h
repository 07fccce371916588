// ids, table -> rows on a GPU: out[i] = table[ids[i]], bit for bit.
//
// The same contract as gather.h, all of it in memory that the device reaches. The launch goes to the caller's stream,
// allocates nothing and waits for nothing, so that it can be captured in a graph. An id outside the table leaves its
// row of `out` zero and is recorded; all other rows are copied.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "common/id_fault.h"
#include "gather/gather.h"

namespace embrow {

void gather_rows_cuda(const row_table& table, const id_list& ids, std::byte* out, id_fault* fault, cudaStream_t stream);

}  // namespace embrow
