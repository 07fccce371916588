// The loop over bags, for a `Sum` that sums rows. Included after the pragma that sets the target, if any; the unnamed
// namespace keeps each includer's code its own.
#pragma once

#include <algorithm>

#include "common/row_sums.h"
#include "gather/pool.h"

namespace embrow {
namespace {

// How far ahead memory is asked for rows, which only the ids foretell. A row is asked for column by column, while the
// same columns of an earlier one are summed: asked for at once, rows would queue for the core's few miss buffers. What
// is ahead takes half of a first-level cache: of more, rows whose addresses meet would push each other out unread.
constexpr size_t ahead_bytes = 16384;
constexpr size_t most_rows_ahead = 64;

template <class T, class Id, bool has_weights>
struct bag_rows {
    using value = T;
    static constexpr bool weighted = has_weights;
    static constexpr bool asks_ahead = true;
    row_table table;
    int64_t padding_idx;
    const Id* ids;
    const T* weights;
    size_t count;
    size_t distance;  // of the rows that are asked for
    size_t known;     // ids from `ids` on, this bag's and the next ones'

    size_t size() const noexcept { return count; }
    bool counts(size_t i) const noexcept { return ids[i] != padding_idx; }
    const T* row(size_t i) const noexcept {
        return reinterpret_cast<const T*>(table.data + static_cast<int64_t>(ids[i]) * table.stride_bytes);
    }
    typename sum_of<T>::type weight(size_t i) const noexcept {
        return static_cast<typename sum_of<T>::type>(weights[i]);
    }
    // Whether rows begin where cache lines do.
    bool begin_lines() const noexcept {
        return (table.address_of(0) | static_cast<uintptr_t>(table.stride_bytes)) % cache_line == 0;
    }
    uintptr_t ahead(size_t i) const noexcept { return table.address_of(ids[i + distance < known ? i + distance : i]); }
};

// `out` and `winners` are rows of their tables; `winners` may be null. At least one row counts.
template <class Rows>
void max_rows(const Rows& rows, typename Rows::value* out, int64_t* winners, size_t dim) noexcept {
    using value = typename Rows::value;
    using wide = typename sum_of<value>::type;
    constexpr size_t width = 64;
    size_t first = 0;
    while (!rows.counts(first)) ++first;
    for (size_t column = 0; column < dim; column += width) {
        const size_t columns = std::min(width, dim - column);
        wide most[width];
        int32_t winner[width];
        for (size_t j = 0; j < columns; ++j) {
            most[j] = static_cast<wide>(rows.row(first)[column + j]);
            winner[j] = static_cast<int32_t>(first);
        }
        for (size_t i = first + 1; i < rows.size(); ++i) {
            if (!rows.counts(i)) continue;
            ask_ahead(rows, i, column, columns);
            const value* row = rows.row(i) + column;
            for (size_t j = 0; j < columns; ++j) {
                const auto candidate = static_cast<wide>(row[j]);
                const bool more = candidate > most[j];
                most[j] = more ? candidate : most[j];
                winner[j] = more ? static_cast<int32_t>(i) : winner[j];
            }
        }
        for (size_t j = 0; j < columns; ++j) out[column + j] = narrow<value>(most[j]);
        if (winners == nullptr) continue;
        for (size_t j = 0; j < columns; ++j) winners[column + j] = rows.ids[winner[j]];
    }
}

template <class Sum, class T, class Id, bool has_weights>
void pool_each(const pool_job& job, size_t first, size_t last) noexcept {
    const row_table& table = job.table;
    const auto* ids = static_cast<const Id*>(job.ids.data);
    const size_t dim = table.row_bytes / sizeof(T);
    const size_t distance = std::clamp<size_t>(ahead_bytes / std::max<size_t>(table.row_bytes, 1), 2, most_rows_ahead);
    const size_t stop = job.bags.end(last - 1);
    const size_t start = job.bags.begin(first);
    for (size_t i = start; i < std::min(start + distance, stop); ++i) {
        prefetch_row(table.address_of(ids[i]), table.row_bytes);
    }
    for (size_t bag = first; bag < last; ++bag) {
        const size_t begin = job.bags.begin(bag);
        const size_t end = job.bags.end(bag);
        size_t kept = end - begin;
        for (size_t i = begin; job.padding_idx >= 0 && i < end; ++i) {
            if (ids[i] != job.padding_idx) continue;
            --kept;
            // No addition does it.
            if (i + distance < stop) prefetch_row(table.address_of(ids[i + distance]), table.row_bytes);
        }
        const bag_rows<T, Id, has_weights> rows{
            .table = table,
            .padding_idx = job.padding_idx,
            .ids = ids + begin,
            .weights = has_weights ? reinterpret_cast<const T*>(job.weights) + begin : nullptr,
            .count = end - begin,
            .distance = distance,
            .known = stop - begin};
        auto* out = reinterpret_cast<T*>(job.out) + bag * dim;
        int64_t* winners = job.winners == nullptr ? nullptr : job.winners + bag * dim;
        if (kept > 0 && job.mode == pooling::max) {
            max_rows(rows, out, winners, dim);
        } else if (kept > 0) {
            Sum::template sum<T>(rows, job.mode == pooling::mean ? kept : 1, out, dim);
        } else {
            std::fill_n(out, dim, T{});
            if (winners != nullptr) std::fill_n(winners, dim, -1);
        }
    }
}

template <class Sum, class T>
void pool_elements(const pool_job& job, size_t first, size_t last) noexcept {
    if (job.weights != nullptr) {
        return job.ids.is_int64 ? pool_each<Sum, T, int64_t, true>(job, first, last)
                                : pool_each<Sum, T, int32_t, true>(job, first, last);
    }
    return job.ids.is_int64 ? pool_each<Sum, T, int64_t, false>(job, first, last)
                            : pool_each<Sum, T, int32_t, false>(job, first, last);
}

template <class Sum>
void pool_with(const pool_job& job, size_t first, size_t last) noexcept {
    switch (job.type) {
        case element::float32:
            return pool_elements<Sum, float>(job, first, last);
        case element::float64:
            return pool_elements<Sum, double>(job, first, last);
        case element::bfloat16:
            return pool_elements<Sum, bfloat16>(job, first, last);
        case element::float16:
            return pool_elements<Sum, float16>(job, first, last);
    }
}

}  // namespace
}  // namespace embrow
