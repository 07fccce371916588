// rows of bytes -> tokens: what counting and encoding share. One token_reader to a thread.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "text/rows.h"
#include "text/split.h"
#include "text/token_run.h"

namespace embrow {

struct text_options {
    tokenizer split = tokenizer::whitespace;
    bool lowercase = false;
};

inline constexpr size_t max_token_bytes = UINT32_MAX;

class token_reader {
  public:
    explicit token_reader(const text_options& options) : options_(options), split_(choose_split(options.split)) {}

    // Calls take(const token_run&) until all of a row's tokens were in one, in order. The text lies in the row's own
    // memory or in scratch that lasts until release(), all else of a run until `take` returns. Returns the row's fault,
    // if any, after which some of its tokens may have been taken.
    template <class Take>
    std::optional<text_fault> read(const text_rows& rows, size_t row, Take&& take);

    // The row's text, valid UTF-8, which lies as that of tokens does; or its fault.
    std::optional<text_fault> read_whole(const text_row& row, std::string_view& text);

    // Asks for the memory of a row that will be read soon, best rows_ahead rows later.
    static constexpr size_t rows_ahead = 4;
    static void prefetch(const text_rows& rows, size_t row) noexcept;

    // Forgets the scratch of all rows read so far.
    void release() noexcept;

    // When to release: scratch should stay within the cache.
    bool scratch_full() const noexcept { return used_ > scratch_bytes / 2; }

  private:
    struct span {
        const char* begin;
        size_t size;
        bool loadable_behind;    // so many bytes behind the end can be read
        bool unchecked = false;  // it may not be UTF-8 where it is not ASCII; at most a segment
    };

    static constexpr size_t scratch_bytes = size_t{1} << 16;
    static constexpr size_t segment = 2048;
    static_assert(segment % split_block == 0);

    // The row as valid UTF-8, lowered if asked for: in place where possible.
    std::optional<text_fault> text_of(const text_row& row, span& text);
    // The same for a row to be split, which finds out what is ASCII, and so UTF-8, without being read twice. Short for
    // most text, so that it is inlined.
    std::optional<text_fault> text_to_split(const text_row& row, span& text) {
        if (row.stored() == encoding::utf8 && !options_.lowercase) [[likely]] {
            text = {static_cast<const char*>(row.data()), row.units(), false};
            return std::nullopt;
        }
        return other_text_to_split(row, text);
    }
    std::optional<text_fault> other_text_to_split(const text_row& row, span& text);
    char* scratch(size_t bytes);

    // Copies the end of a text behind which nothing can be read; returns where in the text the copy begins.
    size_t copy_end(const span& text) noexcept;
    // A run without pieces yet, whose text begins `offset` behind that of `text`, the end of which is copied.
    token_run run_from(const span& text, size_t offset, size_t copied_from) const noexcept;

    // Each returns all_taken, or the number of tokens before one that is too long; or, before any is taken,
    // beyond_ascii of an unchecked text that is not all ASCII.
    static constexpr size_t all_taken = SIZE_MAX;
    static constexpr size_t beyond_ascii = SIZE_MAX - 1;
    template <class Take>
    size_t split(const span& text, Take&& take) {
        return options_.split == tokenizer::whitespace ? split_whitespace(text, take) : split_words(text, take);
    }
    template <class Take>
    size_t split_whitespace(const span& text, Take&& take);
    template <class Take>
    size_t split_long_at_whitespace(const span& text, Take& take);  // of more than a segment, checked
    template <class Take>
    size_t split_words(const span& text, Take&& take);

    // Takes the token text[0, size) of a run; false if that is too long.
    template <class Take>
    static bool take_one(token_run run, size_t size, Take&& take);

    text_options options_;
    split_kernel* split_;
    std::unique_ptr<char[]> scratch_;
    std::vector<std::unique_ptr<char[]>> large_;
    size_t used_ = 0;
    bool all_ascii_ = true;  // the rows split unchecked so far: the next may be as well
    char end_[2 * loadable_bytes] = {};
    uint32_t starts_[segment + split_slack];
    uint32_t ends_[1 + segment + split_slack];  // the first is where the first piece between separators starts
};

inline size_t token_reader::copy_end(const span& text) noexcept {
    if (text.size >= loadable_bytes) [[likely]] {
        std::copy_n(text.begin + text.size - loadable_bytes, loadable_bytes, end_);
        return text.size - loadable_bytes;
    }
    std::copy_n(text.begin, text.size, end_);
    return 0;
}

inline token_run token_reader::run_from(const span& text, size_t offset, size_t copied_from) const noexcept {
    token_run run{text.begin + offset, starts_, ends_, 0, 0, SIZE_MAX, end_};
    if (text.loadable_behind) return run;
    run.copied_from = copied_from > offset ? copied_from - offset : 0;
    run.copy += offset > copied_from ? offset - copied_from : 0;
    return run;
}

template <class Take>
bool token_reader::take_one(token_run run, size_t size, Take&& take) {
    if (size > max_token_bytes) [[unlikely]]
        return false;
    const uint32_t start = 0;
    const auto end = static_cast<uint32_t>(size);
    run.starts = &start;
    run.ends = &end;
    run.count = 1;
    take(run);
    return true;
}

template <class Take>
size_t token_reader::split_whitespace(const span& text, Take&& take) {
    if (text.size > segment) [[unlikely]]
        return split_long_at_whitespace(text, take);
    split_state state{.ascii_only = text.unchecked};
    size_t bounds = split_(text.begin, text.size, text.begin + text.size, starts_, ends_ + 1, state).ends;
    if (text.unchecked && state.beyond_ascii) [[unlikely]]
        return beyond_ascii;
    // The row's end is one more bound, as if a separator came next.
    ends_[++bounds] = static_cast<uint32_t>(text.size + 1);
    ends_[0] = 0;
    token_run run = run_from(text, 0, text.loadable_behind ? SIZE_MAX : copy_end(text));
    run.gap = 1;
    run.starts = ends_;
    run.ends = ends_ + 1;
    run.count = bounds;
    take(run);
    return all_taken;
}

template <class Take>
[[gnu::noinline]] size_t token_reader::split_long_at_whitespace(const span& text, Take& take) {
    split_state state;
    const size_t copied_from = text.loadable_behind ? SIZE_MAX : copy_end(text);
    size_t open = 0;   // where the piece begins whose end is not found yet
    size_t taken = 0;  // tokens; those within a segment count only in a row that may have one too long
    for (size_t at = 0; at < text.size; at += segment) {
        const size_t size = std::min(segment, text.size - at);
        size_t bounds = split_(text.begin + at, size, text.begin + text.size, starts_, ends_ + 1, state).ends;
        if (at + size == text.size) ends_[++bounds] = static_cast<uint32_t>(size + 1);
        if (bounds == 0) continue;
        token_run run = run_from(text, at, copied_from);
        run.gap = 1;
        run.starts = ends_;
        run.count = bounds;
        ends_[0] = 0;
        if (open < at) {
            const size_t crossing = at + ends_[1] - 1 - open;
            if (!take_one(run_from(text, open, copied_from), crossing, take)) return taken;
            ++taken;
            ++run.starts;
            --run.count;
        }
        run.ends = run.starts + 1;
        if (run.count > 0) take(run);
        if (text.size > max_token_bytes) [[unlikely]] {
            for (size_t i = 0; i < run.count; ++i) taken += run.is_token(i);
        }
        open = at + ends_[bounds];
    }
    return all_taken;
}

template <class Take>
size_t token_reader::split_words(const span& text, Take&& take) {
    split_state state{.ascii_only = text.unchecked};
    const size_t copied_from = text.loadable_behind ? SIZE_MAX : copy_end(text);
    constexpr size_t none = SIZE_MAX;
    size_t open = none;  // where a token begins whose end is not found yet
    size_t taken = 0;
    for (size_t at = 0; at < text.size; at += segment) {
        const split_counts found =
            split_(text.begin + at, std::min(segment, text.size - at), text.begin + text.size, starts_, ends_, state);
        if (text.unchecked && state.beyond_ascii) [[unlikely]]
            return beyond_ascii;
        token_run run = run_from(text, at, copied_from);
        run.count = found.ends;
        if (open != none && run.count > 0) {
            if (!take_one(run_from(text, open, copied_from), at + ends_[0] - open, take)) return taken;
            ++taken;
            open = none;
            ++run.ends;
            --run.count;
        }
        if (run.count > 0) take(run);
        taken += run.count;
        if (run.count < found.starts) open = at + starts_[run.count];
    }
    if (open != none && !take_one(run_from(text, open, copied_from), text.size - open, take)) return taken;
    return all_taken;
}

template <class Take>
std::optional<text_fault> token_reader::read(const text_rows& rows, size_t row, Take&& take) {
    const auto too_long = [](size_t token) {
        return text_fault{text_fault::kind::token_too_long, static_cast<int64_t>(token), {}};
    };
    span text;
    if (!rows.tokenized()) {
        const text_row found = rows.text(row);
        if (auto fault = text_to_split(found, text)) return fault;
        size_t taken = split(text, take);
        if (taken == beyond_ascii) [[unlikely]] {
            all_ascii_ = false;
            if (auto fault = text_of(found, text)) return fault;
            taken = split(text, take);
        }
        if (taken != all_taken) return too_long(taken);
        return std::nullopt;
    }
    const int64_t first = rows.offsets[row];
    for (int64_t token = first; token < rows.offsets[row + 1]; ++token) {
        if (auto fault = text_of(rows.rows[token], text)) {
            fault->in_token = token - first;
            return fault;
        }
        const size_t copied_from = text.loadable_behind ? SIZE_MAX : copy_end(text);
        if (!take_one(run_from(text, 0, copied_from), text.size, take)) return too_long(token - first);
    }
    return std::nullopt;
}

}  // namespace embrow
