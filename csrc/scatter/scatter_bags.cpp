// Bags -> which gradient each of their ids has.
#include <memory>

#include "scatter/scatter.h"

namespace embrow {
namespace {

double element_at(const std::byte* elements, element type, size_t i) noexcept {
    switch (type) {
        case element::float32:
            return reinterpret_cast<const float*>(elements)[i];
        case element::float64:
            return reinterpret_cast<const double*>(elements)[i];
        case element::bfloat16:
            return static_cast<float>(reinterpret_cast<const bfloat16*>(elements)[i]);
        case element::float16:
            return static_cast<float>(reinterpret_cast<const float16*>(elements)[i]);
    }
    return 0;
}

}  // namespace

std::optional<bad_id> scatter_bags(scatter_job job, const bag_list& bags, pooling mode, const std::byte* weights,
                                   int threads) {
    const auto sources = std::make_unique_for_overwrite<gradient_source[]>(job.ids.count);
    for (size_t bag = 0; bag < bags.count; ++bag) {
        const size_t begin = bags.begin(bag);
        const size_t end = bags.end(bag);
        size_t kept = 0;
        for (size_t i = begin; i < end; ++i) kept += job.ids[i] != job.padding_idx;
        const double share = mode == pooling::mean ? 1 / static_cast<double>(kept) : 1;
        for (size_t i = begin; i < end; ++i) {
            sources[i] = {weights == nullptr ? share : element_at(weights, job.type, i), bag};
        }
    }
    job.sources = sources.get();
    return scatter_rows(job, threads);
}

}  // namespace embrow
