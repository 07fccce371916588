// Asks the caches for a row of a table that is read or written soon.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace embrow {

// Inlined, all, for GCC takes a function that only prefetches for one that does nothing. The address may be any: a
// prefetch of no memory does nothing.

inline constexpr uintptr_t cache_line = 64;

template <bool to_write = false>
[[gnu::always_inline]] inline void prefetch_line(uintptr_t at) noexcept {
    __builtin_prefetch(reinterpret_cast<const void*>(at), to_write);  // NOLINT(performance-no-int-to-ptr)
}

// The lines that the row lies in, and none more: of short rows one is much of their traffic.
template <bool to_write = false>
[[gnu::always_inline]] inline void prefetch_row(uintptr_t row, size_t bytes) noexcept {
    if (bytes <= 2 * cache_line) {
        // How many lines a short row has depends on where it begins, which no branch foresees: one is asked for twice.
        prefetch_line<to_write>(row);
        if (bytes > cache_line) prefetch_line<to_write>(row + cache_line);
        return prefetch_line<to_write>(row + bytes - 1);
    }
    constexpr uintptr_t most_bytes = 16 * cache_line;  // the hardware's own prefetcher has understood by then
    const uintptr_t first = row & ~(cache_line - 1);
    const size_t reach = row - first + std::min(bytes, most_bytes);
    for (size_t at = 0; at < reach; at += cache_line) prefetch_line<to_write>(first + at);
}

// Rows of more bytes are better asked for in parts, between parts of the work on an earlier row: all lines at once
// would fill the queue of misses that a core has, and that work would wait behind them.
inline constexpr size_t most_bytes_at_once = 512;
inline constexpr size_t part_bytes = 256;

// The lines of bytes [begin, end) of a row, without one that only the last of them reach into. All parts of a long row,
// unlike above: spread over the work, they cost little.
template <bool to_write = false>
[[gnu::always_inline]] inline void prefetch_part(uintptr_t row, size_t begin, size_t end) noexcept {
    for (size_t at = begin; at < end; at += cache_line) prefetch_line<to_write>(row + at);
}

}  // namespace embrow
