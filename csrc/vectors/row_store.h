// rows in file order -> the table of those kept.
//
// Keeps the first row of each token, or of each wanted token, in file order; counts what it sees. The table grows with
// the rows that arrive, never with what a header claims.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "vectors/round.h"
#include "vocab/token_index.h"

namespace embrow {

struct free_memory {
    void operator()(void* memory) const noexcept { std::free(memory); }
};

class row_store {
  public:
    // `wanted` empty and `select` false: keep every token.
    row_store(element type, size_t dim, bool select, token_index wanted)
        : row_bytes_(dim * element_bytes(type)),
          select_(select),
          tokens_(std::move(wanted)),
          seen_(static_cast<size_t>(tokens_.size())) {}

    size_t row_bytes() const noexcept { return row_bytes_; }
    bool select() const noexcept { return select_; }

    // Whether the row of this token may be kept; any thread, between calls of `take`.
    bool wants(std::string_view token) const noexcept { return !select_ || tokens_.find(token) != no_entry; }

    // Starts to fetch what `take` of this token will read.
    void expect(std::string_view token) const noexcept { tokens_.prefetch(hash_token(token, tokens_.seed()).hash); }

    // Notes the next row of the file. Returns where its elements go, or nullptr when it is not kept.
    std::byte* take(std::string_view token) {
        ++rows_read_;
        if (select_) {
            const int64_t id = tokens_.find(token);
            if (id == no_entry) return nullptr;
            if (seen_[id]) {
                ++duplicates_;
                return nullptr;
            }
            seen_[id] = true;
            kept_ids_.push_back(id);
        } else if (!tokens_.insert(token).second) {
            ++duplicates_;
            return nullptr;
        }
        return append();
    }
    // Notes a row that `wants` refused.
    void pass() noexcept { ++rows_read_; }
    void count_bad_utf8() noexcept { ++bad_utf8_; }

    int64_t rows_read() const noexcept { return rows_read_; }
    int64_t kept() const noexcept { return kept_; }
    int64_t duplicates() const noexcept { return duplicates_; }
    int64_t bad_utf8_tokens() const noexcept { return bad_utf8_; }

    // With `select`, the ids in `wanted` of the rows kept; else row r is that of token r.
    const std::vector<int64_t>& kept_ids() const noexcept { return kept_ids_; }
    const token_index& tokens() const noexcept { return tokens_; }

    void reserve(size_t rows);
    // The rows kept, kept() x row_bytes(); the store must not be used for rows after that.
    std::unique_ptr<std::byte, free_memory> release();

  private:
    std::byte* append() {
        if (static_cast<size_t>(kept_) == capacity_) reserve(capacity_ + capacity_ / 2 + 64);
        return table_.get() + row_bytes_ * static_cast<size_t>(kept_++);
    }

    size_t row_bytes_;
    bool select_;
    token_index tokens_;
    std::vector<bool> seen_;
    std::vector<int64_t> kept_ids_;
    std::unique_ptr<std::byte, free_memory> table_;
    size_t capacity_ = 0;
    int64_t kept_ = 0;
    int64_t rows_read_ = 0;
    int64_t duplicates_ = 0;
    int64_t bad_utf8_ = 0;
};

}  // namespace embrow
