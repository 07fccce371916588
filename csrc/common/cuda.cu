#include "common/cuda.h"

#include <stdexcept>
#include <string_view>

namespace embrow {
namespace {

std::string dotted(int version) {
    return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// Where in the sources, not where on the machine that built them.
std::string_view inside_sources(std::string_view file) {
    const size_t at = file.rfind("csrc/");
    return at == std::string_view::npos ? file : file.substr(at);
}

int runtime_version() {
    int version = 0;
    EMBROW_CUDA_CHECK(cudaRuntimeGetVersion(&version));
    return version;
}

}  // namespace

std::string old_driver_message(int driver, int runtime) {
    const std::string needed = "embrow was built with the CUDA runtime " + dotted(runtime);
    if (driver == 0) return "no CUDA driver was found, and " + needed + "; install NVIDIA's driver, or stay on the CPU";
    return "the CUDA driver is too old: it serves CUDA " + dotted(driver) + ", and " + needed +
           "; update the driver, or build embrow with a CUDA toolkit that the driver serves";
}

void throw_cuda_error(cudaError_t error, const char* call, const char* file, int line) {
    cudaGetLastError();  // or the next check would report this error again
    std::string message = "CUDA: ";
    int driver = 0;
    if (error == cudaErrorInsufficientDriver && cudaDriverGetVersion(&driver) == cudaSuccess) {
        message += old_driver_message(driver, runtime_version());
    } else {
        message += std::string(cudaGetErrorName(error)) + ", " + cudaGetErrorString(error);
    }
    message.append(" (").append(call).append(" at ").append(inside_sources(file));
    throw std::runtime_error(message + ":" + std::to_string(line) + ")");
}

std::string cuda_runtime_version() {
    return dotted(runtime_version());
}

std::vector<int> cuda_architectures() {
    std::vector<int> found;
    for (const int architecture : {__CUDA_ARCH_LIST__}) found.push_back(architecture / 10);
    return found;
}

std::vector<std::string> cuda_devices() {
    int count = 0;
    EMBROW_CUDA_CHECK(cudaGetDeviceCount(&count));
    std::vector<std::string> lines;
    for (int device = 0; device < count; ++device) {
        cudaDeviceProp properties;
        EMBROW_CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
        lines.push_back(std::string(properties.name) + ", sm_" + std::to_string(properties.major) +
                        std::to_string(properties.minor) + ", " + std::to_string(properties.totalGlobalMem >> 30) +
                        " GiB");
    }
    return lines;
}

}  // namespace embrow
