// Bags -> which gradient each of their ids has, then the scatter of those.
#include "common/launch.h"
#include "common/workspace.h"
#include "scatter/scatter_bags_kernels.cuh"
#include "scatter/scatter_cuda.h"

namespace embrow {
namespace {

struct bag_memory {
    gradient_source* sources;
    uint32_t* padding;
    std::byte* scatter;
    size_t bytes;
};

bag_memory lay_out(const scatter_job& job, size_t bags, addition how, std::byte* workspace) {
    workspace_layout layout(workspace);
    bag_memory memory{};
    memory.sources = layout.take<gradient_source>(job.ids.count);
    memory.padding = layout.take<uint32_t>(bags);
    memory.scatter = layout.take<std::byte>(scatter_rows_bytes(job, how));
    memory.bytes = layout.bytes();
    return memory;
}

}  // namespace

size_t scatter_bags_bytes(const scatter_job& job, size_t bags, addition how) {
    return lay_out(job, bags, how, nullptr).bytes;
}

void scatter_bags_cuda(scatter_job job, const bag_list& bags, pooling mode, const std::byte* weights, addition how,
                       std::byte* workspace, id_fault* fault, cudaStream_t stream) {
    if (bags.count == 0) return;
    const bag_memory memory = lay_out(job, bags.count, how, workspace);
    if (job.ids.count > 0) {
        const auto ids = static_cast<int64_t>(job.ids.count);
        const bool mean = mode == pooling::mean;
        const bool has_padding = mean && job.padding_idx >= 0;
        if (has_padding) {
            EMBROW_CUDA_CHECK(cudaMemsetAsync(memory.padding, 0, bags.count * sizeof(uint32_t), stream));
            launch_threads(device::count_padding, ids, device::bag_threads, stream, job.ids, bags, job.padding_idx,
                           memory.padding);
        }
        const auto find_sources = [&]<class T>() {
            launch_threads(device::find_sources<T>, ids, device::bag_threads, stream, bags, mean,
                           reinterpret_cast<const T*>(weights), has_padding ? memory.padding : nullptr, memory.sources);
        };
        switch (job.type) {
            case element::float32:
                find_sources.template operator()<float>();
                break;
            case element::float64:
                find_sources.template operator()<double>();
                break;
            case element::bfloat16:
                find_sources.template operator()<bfloat16>();
                break;
            case element::float16:
                find_sources.template operator()<float16>();
                break;
        }
    }
    job.sources = memory.sources;
    scatter_rows_cuda(job, how, memory.scatter, fault, stream);
}

}  // namespace embrow
