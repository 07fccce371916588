// Any text -> rows of bytes: where each row lies and how it is stored. Nothing is copied here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/huge_pages.h"
#include "text/utf8.h"

namespace embrow {

class text_row {
  public:
    text_row() = default;
    text_row(const void* data, size_t units, encoding stored) noexcept
        : data_(data), packed_(units << 8 | static_cast<uint64_t>(stored)) {}

    const void* data() const noexcept { return data_; }
    size_t units() const noexcept { return packed_ >> 8; }  // code units, of 1, 2 or 4 bytes
    encoding stored() const noexcept { return static_cast<encoding>(packed_ & 0xFF); }

  private:
    const void* data_ = nullptr;
    uint64_t packed_ = 0;
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

    bool tokenized() const noexcept { return !offsets.empty(); }
    size_t size() const noexcept { return picked ? picks.size() : tokenized() ? offsets.size() - 1 : rows.size(); }

    // The text of a row that is not tokens.
    text_row text(size_t row) const noexcept {
        if (!picked) return rows[row];
        return picks[row] == none ? text_row() : rows[picks[row]];
    }
};

// Why a row was refused, and where in it.
struct text_fault {
    enum class kind : uint8_t { invalid_utf8, lone_surrogate, token_too_long, unknown_token };
    kind what = kind::invalid_utf8;
    int64_t at = 0;     // byte, code point or token of the row, by kind
    std::string token;  // the beginning of an unknown token
};

}  // namespace embrow
