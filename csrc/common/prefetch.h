// Asks the caches for a row of a table that is read or written soon.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace embrow {

// The lines that the row lies in, and none more: of short rows one is much of their traffic. The address may be any,
// the last one of all too: a prefetch of no memory does nothing.
template <bool to_write = false>
inline void prefetch_row(uintptr_t row, size_t bytes) noexcept {
    constexpr uintptr_t line = 64;
    constexpr size_t most_bytes = 16 * line;  // the hardware's own prefetcher has understood by then
    const uintptr_t first = row & ~(line - 1);
    const size_t reach = row - first + std::min(bytes, most_bytes);
    for (size_t at = 0; at < reach; at += line) {
        __builtin_prefetch(reinterpret_cast<const void*>(first + at), to_write);  // NOLINT(performance-no-int-to-ptr)
    }
}

}  // namespace embrow
