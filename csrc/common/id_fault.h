// What a kernel on a GPU says of ids outside the table, for the host to raise when it next looks.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace embrow {

// The lowest position with an id outside the table, in memory that the device reaches and that belongs to one stream.
// Launches that share a record keep the lowest position among them.
struct id_fault {
    static constexpr uint64_t none = UINT64_MAX;

    uint64_t position;
    int64_t value;
    int64_t rows;  // of the table
};

// Makes `fault` say that nothing went wrong; needed once before the first launch.
void clear_fault_cuda(id_fault* fault, cudaStream_t stream);

// Waits for the stream, then returns what its launches recorded; clears the record.
id_fault take_fault_cuda(id_fault* fault, cudaStream_t stream);

}  // namespace embrow
