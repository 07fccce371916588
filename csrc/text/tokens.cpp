#include "text/tokens.h"

#include "text/lower.h"

namespace embrow {

char* token_reader::scratch(size_t bytes) {
    bytes += loadable_bytes;
    if (bytes > scratch_bytes - used_) {
        // Tokens point into what was handed out, so it cannot move.
        large_.push_back(std::make_unique_for_overwrite<char[]>(bytes));
        used_ = scratch_bytes;
        return large_.back().get();
    }
    if (!scratch_) scratch_ = std::make_unique_for_overwrite<char[]>(scratch_bytes);
    char* const found = scratch_.get() + used_;
    used_ += bytes;
    return found;
}

void token_reader::prefetch(const text_rows& rows, size_t row) noexcept {
    if (row >= rows.size() || rows.tokenized()) return;
    constexpr size_t line_bytes = 64;
    constexpr size_t lines = 4;  // what follows, the CPU fetches by itself
    const text_row soon = rows.text(row);
    const char* const begin = static_cast<const char*>(soon.data());
    // No branch for short rows, whose end is asked for more than once.
#pragma GCC unroll 5
    for (size_t line = 0; line <= lines; ++line) __builtin_prefetch(begin + std::min(soon.units(), line * line_bytes));
}

void token_reader::release() noexcept {
    used_ = 0;
    large_.clear();
}

std::optional<text_fault> token_reader::text_of(const text_row& row, span& text) {
    const auto units = row.units();
    if (row.stored() == encoding::utf8 || row.stored() == encoding::unchecked_utf8) {
        const char* begin = static_cast<const char*>(row.data());
        if (row.stored() == encoding::unchecked_utf8) {
            const size_t fault = utf8_fault({begin, units});
            if (fault != utf8_valid) return text_fault{text_fault::kind::invalid_utf8, static_cast<int64_t>(fault), {}};
        }
        text = {begin, units, false};
    } else {
        char* const out = scratch(utf8_bound(row.stored(), units));
        const transcoded done = transcode(row.stored(), row.data(), units, out);
        if (done.fault != utf8_valid) {
            return text_fault{text_fault::kind::lone_surrogate, static_cast<int64_t>(done.fault), {}};
        }
        text = {out, done.size, true};
    }
    if (options_.lowercase) {
        char* const out = scratch(lower_bound(text.size));
        text = {out, lower_row(text.begin, text.size, out), true};
    }
    return std::nullopt;
}

std::optional<text_fault> token_reader::other_text_to_split(const text_row& row, span& text) {
    // In one segment, so that nothing is taken of a row that proves not to be UTF-8.
    if (row.stored() != encoding::unchecked_utf8 || options_.lowercase || !all_ascii_ || row.units() > segment) {
        return text_of(row, text);
    }
    text = {static_cast<const char*>(row.data()), row.units(), false, true};
    return std::nullopt;
}

std::optional<text_fault> token_reader::read_whole(const text_row& row, std::string_view& text) {
    span found;
    if (auto fault = text_of(row, found)) return fault;
    text = {found.begin, found.size};
    return std::nullopt;
}

}  // namespace embrow
