// ids, table -> rows: out[i] = table[ids[i]], bit for bit.
//
// table   rows x row_bytes, `stride_bytes` apart (0 and overlapping are fine); any element type
// ids     count, int32 or int64, contiguous
// out     count x row_bytes, contiguous; must not overlap the table or the ids
//
// The hub checks every id while it copies. After a fault `out` holds part of the rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "common/ids.h"

namespace embrow {

struct row_table {
    const std::byte* data;
    int64_t rows;
    int64_t stride_bytes;
    size_t row_bytes;

    // Where a row lies, for a prefetch: also of an id that is not yet checked, whose row may lie anywhere.
    uintptr_t address_of(int64_t id) const noexcept {
        return reinterpret_cast<uintptr_t>(data) + static_cast<uintptr_t>(id) * static_cast<uintptr_t>(stride_bytes);
    }
};

// The bytes that stores around the caches come in, at addresses that are whole ones of them.
constexpr size_t streamed_unit = 16;

struct gather_job {
    row_table table;
    id_list ids;
    std::byte* out;
    bool streams = false;  // around the caches, if the kernel can: `out` and its rows are whole streamed_units
};

// Copies rows [first, last) of `job`; returns the first position whose id is outside the table, else `last`.
using gather_kernel = size_t(const gather_job& job, size_t first, size_t last) noexcept;
gather_kernel gather_copy_serial;
#if defined(__x86_64__)
gather_kernel gather_copy_avx2;
#endif

// Copies all rows on at most `threads` threads; returns the first bad id.
std::optional<bad_id> gather_rows(const row_table& table, const id_list& ids, std::byte* out, int threads);

// Returns the first id outside [0, rows).
std::optional<bad_id> find_bad_id(const id_list& ids, int64_t rows) noexcept;

// What an id outside the table is answered with, alone or in a bag; each begins as PyTorch's own message does.
std::string bad_id_message(const bad_id& bad, int64_t rows);
std::string bad_bag_id_message(const bad_id& bad, int64_t rows);

}  // namespace embrow
