// What the bindings of every step's kernels on a GPU share.
//
// Device memory and streams come as addresses: neither PyTorch nor another owner of device memory is linked. The caller
// has checked dtypes and shapes, has made the memory's device the current one, and holds the memory until the stream is
// done with it.
#pragma once

#include <pybind11/pybind11.h>

#include "common/id_fault.h"

namespace embrow {

inline cudaStream_t stream_at(uintptr_t stream) {
    return reinterpret_cast<cudaStream_t>(stream);
}

inline id_fault* fault_at(uintptr_t fault) {
    return reinterpret_cast<id_fault*>(fault);
}

// Each defined in <step>/<step>_cuda_bind.cpp; pooling is part of the gather.
void bind_encode_cuda(pybind11::module_& m);
void bind_pad_cuda(pybind11::module_& m);
void bind_gather_cuda(pybind11::module_& m);
void bind_pool_cuda(pybind11::module_& m);
void bind_scatter_cuda(pybind11::module_& m);
void bind_update_cuda(pybind11::module_& m);

}  // namespace embrow
