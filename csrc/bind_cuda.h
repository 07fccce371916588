// What the bindings of every step's kernels on a GPU share.
//
// Device memory and streams come as addresses: neither PyTorch nor another owner of device memory is linked. The caller
// has checked dtypes and shapes, has made the memory's device the current one, and holds the memory until the stream is
// done with it.
#pragma once

#include <cuda_runtime_api.h>
#include <pybind11/pybind11.h>

#include <limits>
#include <string>

#include "common/id_fault.h"
#include "released_gil.h"

namespace embrow {

inline cudaStream_t stream_at(uintptr_t stream) {
    return reinterpret_cast<cudaStream_t>(stream);
}

inline id_fault* fault_at(uintptr_t fault) {
    return reinterpret_cast<id_fault*>(fault);
}

// On a GPU ids of a batch and rows of a table are counted in 31 bits.
inline size_t below_limit(const char* step, size_t found, const char* what) {
    if (found <= std::numeric_limits<int32_t>::max()) return found;
    throw pybind11::value_error(std::string(step) + ": " + std::to_string(found) + " " + what +
                                "; the kernels take fewer than 2^31");
}

// Each defined in <step>/<step>_cuda_bind.cpp; pooling is part of the gather.
void bind_encode_cuda(pybind11::module_& m);
void bind_pad_cuda(pybind11::module_& m);
void bind_gather_cuda(pybind11::module_& m);
void bind_pool_cuda(pybind11::module_& m);
void bind_scatter_cuda(pybind11::module_& m);
void bind_update_cuda(pybind11::module_& m);

}  // namespace embrow
