// Rows -> their tokens as strings, by the variant in use.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "text/tokens.h"
#include "text/unicode.h"

namespace embrow::testing {

// A row's text in memory of exactly its size, so that the address sanitizer sees a read beyond it.
class exact_row {
  public:
    exact_row(const void* data, size_t units, encoding stored)
        : units_(units), stored_(stored), data_(new char[units * unit_bytes(stored)]) {
        if (units > 0) std::memcpy(data_.get(), data, units * unit_bytes(stored));
    }
    explicit exact_row(const std::string& text) : exact_row(text.data(), text.size(), encoding::utf8) {}

    text_row row() const noexcept { return {data_.get(), units_, stored_}; }

    static size_t unit_bytes(encoding stored) noexcept {
        return stored == encoding::ucs2 ? 2 : stored == encoding::ucs4 ? 4 : 1;
    }

  private:
    size_t units_;
    encoding stored_;
    std::unique_ptr<char[]> data_;
};

struct row_tokens {
    std::vector<std::string> tokens;
    std::vector<const char*> places;  // of the tokens, for rows that are read in place
    std::optional<text_fault> fault;
};

inline row_tokens tokens_of(const text_rows& rows, size_t row, const text_options& options) {
    row_tokens found;
    const auto reader = std::make_unique<token_reader>(options);
    found.fault = reader->read(rows, row, [&](const token_run& run) {
        for (size_t i = 0; i < run.count; ++i) {
            if (!run.is_token(i)) continue;
            found.tokens.emplace_back(run.token(i));
            found.places.push_back(run.token(i).data());
        }
    });
    return found;
}

inline std::string utf8_of(uint32_t code_point) {
    char bytes[4];
    return {bytes, utf8_encode(code_point, bytes)};
}

inline bool is_surrogate(uint32_t code_point) noexcept {
    return code_point >= 0xD800 && code_point < 0xE000;
}

inline constexpr uint32_t code_points = 0x110000;

}  // namespace embrow::testing
