// Any text -> rows of bytes: where each row lies and how it is stored. Nothing is copied here.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/huge_pages.h"
#include "common/spin.h"
#include "text/utf8.h"

namespace embrow {

class text_row {
  public:
    text_row() = default;  // unset; text_row() is empty
    text_row(const void* data, size_t units, encoding stored) noexcept
        : data_(data), packed_(units << 8 | static_cast<uint64_t>(stored)) {}

    const void* data() const noexcept { return data_; }
    size_t units() const noexcept { return packed_ >> 8; }  // code units, of 1, 2 or 4 bytes
    encoding stored() const noexcept { return static_cast<encoding>(packed_ & 0xFF); }

  private:
    const void* data_;
    uint64_t packed_;
};

// How many rows are there, while one thread still reads them and others already use those before.
class rows_progress {
  public:
    // Waits for the first `rows` rows; false if they will not come.
    bool wait_for(size_t rows) const noexcept {
        spin_until([&] { return count_.load(std::memory_order_acquire) >= rows; });
        size_t there = count_.load(std::memory_order_acquire);
        for (; there < rows; there = count_.load(std::memory_order_acquire)) count_.wait(there);
        return there != failed;
    }

    // Those that sleep see it when they are woken, which takes long, so best not at each step.
    void reach(size_t rows) noexcept { count_.store(rows, std::memory_order_release); }
    void wake() noexcept { count_.notify_all(); }

    void fail() noexcept {
        reach(failed);
        wake();
    }

    size_t expected_bytes = 0;  // of a row, before any is there

  private:
    static constexpr size_t failed = SIZE_MAX;
    alignas(64) std::atomic<size_t> count_{0};  // in a cache line of its own, which many watch
};

// Rows of text, in one of three ways. Whoever makes it keeps what the rows point to alive and unchanged.
//   plain        row r is rows[r]
//   tokens       row r is rows[offsets[r]] to rows[offsets[r + 1]], each one token, when `offsets` is not empty
//   dictionary   row r is rows[picks[r]], or empty where that is none, when `picked`
struct text_rows {
    static constexpr int64_t none = -1;

    huge_page_vector<text_row> rows;
    std::vector<int64_t> offsets;
    std::vector<int64_t> picks;
    bool picked = false;
    const rows_progress* progress = nullptr;  // of plain rows that are still being read

    bool tokenized() const noexcept { return !offsets.empty(); }
    size_t size() const noexcept { return picked ? picks.size() : tokenized() ? offsets.size() - 1 : rows.size(); }

    // The text of a row that is not tokens.
    text_row text(size_t row) const noexcept {
        if (!picked) return rows[row];
        return picks[row] == none ? text_row() : rows[picks[row]];
    }

    // Waits until rows below `end` can be used, for there are as many; false if they cannot.
    bool wait_for(size_t end) const noexcept { return !progress || progress->wait_for(std::min(end, size())); }
};

// Of a token, in errors.
inline constexpr size_t shown_token_bytes = 64;

// Why a row was refused, and where in it.
struct text_fault {
    enum class kind : uint8_t { invalid_utf8, lone_surrogate, token_too_long, unknown_token };
    kind what = kind::invalid_utf8;
    int64_t at = 0;         // byte, code point or token of the row, by kind
    std::string token;      // the beginning of an unknown token
    int64_t in_token = -1;  // of a row of tokens, the one that the byte or code point is in
};

}  // namespace embrow
