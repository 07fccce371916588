// One element at a time.
#include "update/update_variant.h"

namespace embrow {

void update_rows_serial(const update_job& job, std::span<const row_term> terms, size_t begin, size_t end,
                        bool has_grads, std::byte* sums) noexcept {
    switch (job.type) {
        case element::float32:
            return update_with<single<float>>(job, terms, begin, end, has_grads, sums);
        case element::float64:
            return update_with<single<double>>(job, terms, begin, end, has_grads, sums);
        case element::bfloat16:
            return update_with<single<bfloat16>>(job, terms, begin, end, has_grads, sums);
        case element::float16:
            return update_with<single<float16>>(job, terms, begin, end, has_grads, sums);
    }
}

}  // namespace embrow
