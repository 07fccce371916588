// ids, row gradients -> table gradient on a GPU, with the bits of the CPU's kernels.
//
// The same contract as scatter.h, all of it in memory that the device reaches, but `out` is zero on entry. The
// launches go to the caller's stream, allocate nothing and wait for nothing, so that they can be captured in a graph.
// With a bad id nothing is written, and the first one is recorded. Ids and rows are below 2^31.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "common/id_fault.h"
#include "scatter/scatter.h"

namespace embrow {

// How the terms of a row are added up: as on the CPU; or by pieces of 32 whose sums are added to the row in whatever
// order they are done, for float32 and float64 alone. Rows seen up to 32 times have the same bits either way.
enum class addition : uint8_t { ordered, atomic };

// `workspace` is of scatter_rows_bytes, aligned to 256 bytes.
size_t scatter_rows_bytes(const scatter_job& job, addition how);
void scatter_rows_cuda(const scatter_job& job, addition how, std::byte* workspace, id_fault* fault,
                       cudaStream_t stream);

// The gradient of pool_bags for sums and means. Offsets are not checked, and none makes a kernel leave its memory.
size_t scatter_bags_bytes(const scatter_job& job, size_t bags, addition how);
void scatter_bags_cuda(scatter_job job, const bag_list& bags, pooling mode, const std::byte* weights, addition how,
                       std::byte* workspace, id_fault* fault, cudaStream_t stream);

}  // namespace embrow
