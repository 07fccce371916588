// A kernel -> the caller's stream, each launch checked.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "common/cuda.h"

namespace embrow {

constexpr int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), int64_t blocks, int threads, cudaStream_t stream, Arguments... arguments) {
    cudaLaunchConfig_t config{};
    // CUDA refuses more than it can launch.
    config.gridDim.x = static_cast<unsigned>(std::min<int64_t>(blocks, std::numeric_limits<unsigned>::max()));
    config.blockDim.x = static_cast<unsigned>(threads);
    config.stream = stream;
    EMBROW_CUDA_CHECK(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...));
}

// One thread for each of `threads`, in blocks of `block_threads`; see thread_index.
template <class... Parameters, class... Arguments>
void launch_threads(void (*kernel)(Parameters...), int64_t threads, int block_threads, cudaStream_t stream,
                    Arguments... arguments) {
    launch(kernel, ceil_div(threads, block_threads), block_threads, stream, arguments...);
}

}  // namespace embrow
