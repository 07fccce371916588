// ids -> batch: ragged rows into a rectangle.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace embrow {

template <class Id>
struct pad_layout {
    size_t width = 0;
    Id value = 0;  // where a row has no id
    bool left = false;
};

// Writes one row of `layout.width` ids at `out`: at most width of `ids`, the rest padding.
template <class Id, class From>
inline void pad_row(const pad_layout<Id>& layout, const From* ids, size_t count, Id* out) noexcept {
    Id* const first = out + (layout.left ? layout.width - count : 0);
    Id* const last = first + count;
    std::fill(out, first, layout.value);
    for (size_t i = 0; i < count; ++i) first[i] = static_cast<Id>(ids[i]);
    std::fill(last, out + layout.width, layout.value);
}

// Ragged rows, row r being values[offsets[r]] to values[offsets[r + 1]] -> rows x width at `out`, which aliases
// neither. Each row keeps at most `kept` ids, kept <= width: its first, or with `truncate_left` its last.
template <class Id, class From>
void pad_rows(const From* values, const int64_t* offsets, size_t rows, const pad_layout<Id>& layout, size_t kept,
              bool truncate_left, Id* out, int threads);

}  // namespace embrow
