// rows of bytes -> tokens: what counting and encoding share. One token_reader to a thread.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "text/rows.h"
#include "text/split.h"

namespace embrow {

struct text_options {
    tokenizer split = tokenizer::whitespace;
    bool lowercase = false;
};

class token_reader {
  public:
    explicit token_reader(const text_options& options) : options_(options), split_(choose_split(options.split)) {}

    // Calls emit(begin, size, around) for each token of a row, in order; `around` is memory that may be read. A
    // token lies in the row's own memory or in scratch that lasts until release(). Returns the row's fault, if any,
    // after which some of its tokens may have been emitted.
    template <class Emit>
    std::optional<text_fault> read(const text_rows& rows, size_t row, Emit&& emit);

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
        readable around;
    };

    static constexpr size_t scratch_bytes = size_t{1} << 16;
    static constexpr size_t slack = 16;
    static constexpr size_t segment = 2048;
    static_assert(segment % split_block == 0);

    // The row as valid UTF-8, lowered if asked for: in place where possible.
    std::optional<text_fault> text_of(const text_row& row, span& text);
    char* scratch(size_t bytes);

    template <class Emit>
    void split(const span& text, Emit&& emit);

    text_options options_;
    split_kernel* split_;
    std::unique_ptr<char[]> scratch_;
    std::vector<std::unique_ptr<char[]>> large_;
    size_t used_ = 0;
    uint32_t starts_[segment + split_slack];
    uint32_t ends_[segment + split_slack];
};

template <class Emit>
void token_reader::split(const span& text, Emit&& emit) {
    split_state state;
    const char* const row_end = text.begin + text.size;
    const char* open = nullptr;
    for (size_t at = 0; at < text.size; at += segment) {
        const char* const from = text.begin + at;
        const size_t size = std::min(segment, text.size - at);
        const split_counts found = split_(from, size, row_end, starts_, ends_, state);
        size_t end = 0;
        if (open && found.ends > 0) {
            emit(open, static_cast<size_t>(from + ends_[0] - open), text.around);
            open = nullptr;
            end = 1;
        }
        size_t start = 0;
        for (; end < found.ends; ++start, ++end) {
            emit(from + starts_[start], size_t{ends_[end]} - starts_[start], text.around);
        }
        if (start < found.starts) open = from + starts_[start];
    }
    if (open) emit(open, static_cast<size_t>(row_end - open), text.around);
}

template <class Emit>
std::optional<text_fault> token_reader::read(const text_rows& rows, size_t row, Emit&& emit) {
    span text;
    if (!rows.tokenized()) {
        if (auto fault = text_of(rows.text(row), text)) return fault;
        split(text, emit);
        return std::nullopt;
    }
    for (int64_t token = rows.offsets[row]; token < rows.offsets[row + 1]; ++token) {
        if (auto fault = text_of(rows.rows[token], text)) return fault;
        emit(text.begin, text.size, text.around);
    }
    return std::nullopt;
}

}  // namespace embrow
