#include "pad/pad.h"

#include "common/threads.h"

namespace embrow {

template <class Id, class From>
void pad_rows(const From* values, const int64_t* offsets, size_t rows, const pad_layout<Id>& layout, size_t kept,
              bool truncate_left, Id* out, int threads) {
    constexpr size_t ids_per_task = size_t{1} << 15;
    const size_t rows_per_task = std::max<size_t>(1, ids_per_task / std::max<size_t>(layout.width, 1));
    parallel_for(threads, task_count(rows, rows_per_task), [&](size_t task) {
        const size_t end = std::min(rows, (task + 1) * rows_per_task);
        for (size_t row = task * rows_per_task; row < end; ++row) {
            const auto length = static_cast<size_t>(offsets[row + 1] - offsets[row]);
            const size_t count = std::min(length, kept);
            const From* const from = values + offsets[row] + (truncate_left ? length - count : 0);
            pad_row(layout, from, count, out + row * layout.width);
        }
    });
}

template void pad_rows(const int32_t*, const int64_t*, size_t, const pad_layout<int32_t>&, size_t, bool, int32_t*, int);
template void pad_rows(const int32_t*, const int64_t*, size_t, const pad_layout<int64_t>&, size_t, bool, int64_t*, int);
template void pad_rows(const int64_t*, const int64_t*, size_t, const pad_layout<int32_t>&, size_t, bool, int32_t*, int);
template void pad_rows(const int64_t*, const int64_t*, size_t, const pad_layout<int64_t>&, size_t, bool, int64_t*, int);

}  // namespace embrow
