// (row, position) pairs, sorted: which gradients of a batch belong to which row of the table, in a fixed order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/threads.h"

namespace embrow {

// One term: the row in the upper half, the position in the batch in the lower; the order of sorting is the order of
// summing.
using row_term = uint64_t;
constexpr uint32_t term_row(row_term term) noexcept {
    return static_cast<uint32_t>(term >> 32);
}
constexpr uint32_t term_position(row_term term) noexcept {
    return static_cast<uint32_t>(term);
}
constexpr row_term make_term(int64_t row, size_t position) noexcept {
    return (static_cast<uint64_t>(row) << 32) | position;
}

// Limits of row_term.
constexpr int64_t max_term_rows = int64_t{1} << 32;
constexpr size_t max_terms = size_t{1} << 32;

// Terms are summed in blocks of this many, as many of the blocks' sums make a super block, and super blocks are added
// one after another; see block_sums.h.
constexpr size_t block_terms = 64;
constexpr size_t super_block_terms = block_terms * block_terms;

// How many terms ahead memory is asked for the rows that they name, of tables and of gradients, which only the ids
// foretell: about `ahead_bytes` of them, of which a term's take `bytes`.
constexpr size_t terms_ahead(size_t bytes, size_t ahead_bytes, size_t most_terms) noexcept {
    return std::clamp<size_t>(ahead_bytes / std::max<size_t>(bytes, 1), 2, most_terms);
}

// Where the terms of the row that starts at `begin` end.
constexpr size_t run_end(std::span<const row_term> terms, size_t begin) noexcept {
    const uint32_t row = term_row(terms[begin]);
    size_t end = begin + 1;
    while (end < terms.size() && term_row(terms[end]) == row) ++end;
    return end;
}

// The first place from `at` on where the terms of a row begin: where pieces of sorted terms are cut.
inline size_t row_bound(std::span<const row_term> terms, size_t at) noexcept {
    if (at >= terms.size()) return terms.size();
    if (at == 0 || term_row(terms[at]) != term_row(terms[at - 1])) return at;
    return static_cast<size_t>(std::ranges::upper_bound(terms, term_row(terms[at]), {}, term_row) - terms.begin());
}

// Calls body(piece, begin, end) on pieces of about `per_task` terms, task_count(terms.size(), per_task) of them, that
// are cut where a row's terms begin.
template <class Body>
void for_each_piece(int threads, std::span<const row_term> terms, size_t per_task, const Body& body) {
    parallel_for(threads, task_count(terms.size(), per_task), [&](size_t task) {
        body(task, row_bound(terms, task * per_task), row_bound(terms, (task + 1) * per_task));
    });
}

}  // namespace embrow
