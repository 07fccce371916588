// ids in bags, table -> one row per bag on a GPU: the contract of pool.h, bit for bit, all of it in memory that the
// device reaches.
//
// The launches go to the caller's stream, allocate nothing and wait for nothing, so that they can be captured in a
// graph. An id outside the table is recorded and left out of its bag, all others of which still count. Offsets may hold
// one more than the bags, where the last bag ends; ids behind it are in no bag. They are checked on the device: where
// they do not begin with 0, fall, or pass the ids, that is recorded, the bag they would bound is empty, and bags that
// overlap may hold rows of one another.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <string>

#include "common/id_fault.h"
#include "gather/pool.h"

namespace embrow {

// What went wrong in the launches of one stream, in memory that the device reaches.
struct bag_faults {
    id_fault ids;
    id_fault offsets;  // of a place in the offsets; its `rows` is the number of ids
};

// What offsets that bound no bags are answered with; begins as PyTorch's own messages do, where it has any.
std::string bad_offset_message(const id_fault& fault);

// Bytes that pool_bags_cuda needs besides, for parts of long bags; `longest` is the bags' width, or with offsets how
// many ids there are.
size_t pool_workspace_bytes(pooling mode, element type, int64_t dim, int64_t ids, int64_t longest);

// There are fewer than 2^31 ids and rows. `workspace` is a multiple of 256, its contents do not matter.
void pool_bags_cuda(const pool_job& job, std::byte* workspace, bag_faults* faults, cudaStream_t stream);

}  // namespace embrow
