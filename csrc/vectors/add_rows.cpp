#include "vectors/add_rows.h"

#include <algorithm>

#include "common/threads.h"

namespace embrow {

void add_rows(float* sums, size_t dim, const float* table, std::span<const int64_t> offsets, const int64_t* ids,
              int threads) {
    constexpr size_t grain = 256;
    const size_t words = offsets.size() - 1;
    parallel_for(threads, task_count(words, grain), [&](size_t task) {
        for (size_t word = task * grain; word < std::min(words, (task + 1) * grain); ++word) {
            float* const sum = sums + word * dim;
            for (size_t j = 0; j < dim; ++j) sum[j] = 0.0F + sum[j];  // -0 becomes 0
            for (int64_t i = offsets[word]; i < offsets[word + 1]; ++i) {
                const float* const row = table + static_cast<size_t>(ids[i]) * dim;
                for (size_t j = 0; j < dim; ++j) sum[j] += row[j];
            }
        }
    });
}

}  // namespace embrow
