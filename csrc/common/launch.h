// A kernel -> the caller's stream, each launch checked.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "common/cuda.h"

namespace embrow {

constexpr int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), int64_t blocks, int threads, cudaStream_t stream, Arguments... arguments) {
    cudaLaunchConfig_t config{};
    config.gridDim.x = static_cast<unsigned>(blocks);
    config.blockDim.x = static_cast<unsigned>(threads);
    config.stream = stream;
    EMBROW_CUDA_CHECK(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...));
}

}  // namespace embrow
