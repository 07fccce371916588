#include "common/sorted_terms.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace embrow {
namespace {

constexpr int max_digit_bits = 11;      // 2,048 counters of 4 bytes: a quarter of the first-level cache
constexpr size_t few = 256;             // below it the counters cost more than comparisons
constexpr size_t terms_a_piece = 4096;  // handing over less costs as much as sorting it
constexpr size_t most_pieces = 16;      // each has counters, which one thread adds up

size_t piece_count(size_t terms, int threads) noexcept {
    return std::clamp<size_t>(std::min(terms / terms_a_piece, static_cast<size_t>(std::max(threads, 1))), 1,
                              most_pieces);
}

}  // namespace

sorted_terms::sorted_terms(size_t count, int64_t rows, int threads)
    : threads_(threads),
      memory_(std::make_unique_for_overwrite<row_term[]>(2 * count)),
      from_(memory_.get()),
      to_(memory_.get() + count),
      pieces_(piece_count(count, threads)) {
    if (count >= few) {
        const int bits = static_cast<int>(std::bit_width(static_cast<uint64_t>(std::max<int64_t>(rows - 1, 1))));
        passes_ = (bits + max_digit_bits - 1) / max_digit_bits;
        digit_bits_ = (bits + passes_ - 1) / passes_;
        digit_mask_ = (uint64_t{1} << digit_bits_) - 1;
    }
    counts_.resize(pieces_.size() * counts_stride());
}

void sorted_terms::sort() {
    size_t kept = 0;
    for (const auto& piece : pieces_) kept += piece.size();
    if (kept < few) {
        row_term* end = from_ + pieces_[0].size();
        for (size_t i = 1; i < pieces_.size(); ++i) end = std::ranges::copy(pieces_[i], end).out;
        std::sort(from_, end);
    } else {
        sort_by_digits(kept);
    }
    terms_ = {from_, kept};
}

void sorted_terms::sort_by_digits(size_t kept) {
    for (int pass = 0; pass < passes_; ++pass) {
        const int shift = 32 + pass * digit_bits_;
        if (pass > 0) count(shift);
        move(shift);
        std::swap(from_, to_);
        for (size_t i = 0; i < pieces_.size(); ++i) {
            const size_t begin = piece_begin(i, kept);
            pieces_[i] = {from_ + begin, piece_begin(i + 1, kept) - begin};
        }
    }
}

void sorted_terms::count(int shift) {
    parallel_for(threads_, pieces_.size(), [&](size_t piece) {
        uint32_t* counts = counts_of(piece);
        std::fill_n(counts, digit_mask_ + 1, 0);
        for (const row_term term : pieces_[piece]) ++counts[(term >> shift) & digit_mask_];
    });
}

void sorted_terms::move(int shift) {
    // A digit's terms of one piece follow those of the pieces before it.
    uint32_t before = 0;
    for (size_t digit = 0; digit <= digit_mask_; ++digit) {
        for (size_t piece = 0; piece < pieces_.size(); ++piece) {
            before += std::exchange(counts_of(piece)[digit], before);
        }
    }
    parallel_for(threads_, pieces_.size(), [&](size_t piece) {
        uint32_t* next = counts_of(piece);
        for (const row_term term : pieces_[piece]) to_[next[(term >> shift) & digit_mask_]++] = term;
    });
}

}  // namespace embrow
