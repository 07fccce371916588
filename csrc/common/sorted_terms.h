// ids -> their terms, by row, then position: which gradients of a batch belong to which row, in the order of summing.
//
// A radix sort from the least significant digit on, stable, so that positions stay in order. Threads share each pass:
// each counts the digits of a piece of its own, and then knows where those of its piece go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/first_bad_id.h"
#include "common/ids.h"
#include "common/prefetch.h"
#include "common/row_terms.h"
#include "common/threads.h"

namespace embrow {

class sorted_terms {
  public:
    // The terms of those ids in [0, rows) that `wanted(id)` accepts, which several threads ask at once. An id outside
    // leaves none.
    template <class Wanted>
    sorted_terms(const id_list& ids, int64_t rows, int threads, const Wanted& wanted)
        : sorted_terms(ids.count, rows, threads) {
        if (ids.is_int64) {
            make<int64_t>(ids, rows, wanted);
        } else {
            make<int32_t>(ids, rows, wanted);
        }
    }

    // The first id outside the table.
    const std::optional<bad_id>& bad() const noexcept { return bad_; }
    std::span<const row_term> terms() const noexcept { return terms_; }

  private:
    sorted_terms(size_t count, int64_t rows, int threads);

    template <class Id, class Wanted>
    void make(const id_list& ids, int64_t rows, const Wanted& wanted) {
        const auto* all = static_cast<const Id*>(ids.data);
        first_bad_id bad;
        parallel_for(threads_, pieces_.size(), [&](size_t piece) {
            const size_t begin = piece_begin(piece, ids.count);
            const size_t end = piece_begin(piece + 1, ids.count);
            uint32_t* counts = counts_of(piece);
            size_t kept = begin;
            for (size_t i = begin; i < end; ++i) {
                const int64_t id = all[i];
                if (id < 0 || id >= rows) return bad.report(i, id);
                if (i % line_terms == 0) prefetch_line<true>(reinterpret_cast<uintptr_t>(to_ + i));
                const bool is_wanted = wanted(id);
                from_[kept] = make_term(id, i);
                kept += is_wanted;
                counts[static_cast<uint64_t>(id) & digit_mask_] += is_wanted;
            }
            pieces_[piece] = {from_ + begin, kept - begin};
        });
        bad_ = bad.found();
        if (!bad_) sort();
    }

    // What the first pass writes to is asked for while the terms are made: it comes from memory, and in no order.
    static constexpr size_t line_terms = cache_line / sizeof(row_term);

    size_t piece_begin(size_t piece, size_t count) const noexcept { return count * piece / pieces_.size(); }
    uint32_t* counts_of(size_t piece) noexcept { return counts_.data() + piece * counts_stride(); }
    // More than the digits, by a cache line at least: two threads never write to one line, and the counters of a digit
    // are not a power of two apart.
    size_t counts_stride() const noexcept {
        constexpr size_t line = cache_line / sizeof(uint32_t);
        return (digit_mask_ / line + 2) * line;
    }

    // Of terms whose first digits are counted.
    void sort();
    void sort_by_digits(size_t kept);
    void count(int shift);
    void move(int shift);

    int threads_;
    int passes_ = 0;
    int digit_bits_ = 0;
    uint64_t digit_mask_ = 0;
    std::unique_ptr<row_term[]> memory_;
    row_term* from_;
    row_term* to_;
    std::vector<std::span<row_term>> pieces_;  // of what lies at `from_`
    std::vector<uint32_t> counts_;             // of each digit in each piece, then where the next one goes
    std::span<const row_term> terms_;
    std::optional<bad_id> bad_;
};

}  // namespace embrow
