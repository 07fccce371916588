// CUDA's error codes -> exceptions that name the call, the place and what to do; what this build of the kernels is.
#pragma once

#include <cuda_runtime_api.h>

#include <string>
#include <vector>

// Wraps every call of the CUDA runtime.
#define EMBROW_CUDA_CHECK(call)                                                                                 \
    do {                                                                                                        \
        const cudaError_t embrow_status = (call);                                                               \
        if (embrow_status != cudaSuccess) ::embrow::throw_cuda_error(embrow_status, #call, __FILE__, __LINE__); \
    } while (false)

namespace embrow {

// Throws std::runtime_error. A driver older than the runtime is told with both versions.
[[noreturn]] void throw_cuda_error(cudaError_t error, const char* call, const char* file, int line);

// What a user whose driver cannot serve the runtime is told; versions as CUDA counts them, 13000 for 13.0, 0 for none.
std::string old_driver_message(int driver, int runtime);

std::string cuda_runtime_version();

// The architectures there is code for, as 10 x compute capability: 90 for 9.0.
std::vector<int> cuda_architectures();

// One line per GPU that the driver offers.
std::vector<std::string> cuda_devices();

}  // namespace embrow
