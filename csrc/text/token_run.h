// The tokens that lie one after another in one stretch of memory: what splitting hands to counting and encoding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace embrow {

// Of a token shorter than this, this many bytes can be read, in place or in a copy.
inline constexpr size_t loadable_bytes = 16;

// Pieces of text: piece i is text[starts[i], ends[i] - gap).
//
//     gap 0    the pieces are the tokens
//     gap 1    what lies between separators of one byte, ends[i] being starts[i + 1]: empty pieces are no tokens
struct token_run {
    const char* text;
    const uint32_t* starts;
    const uint32_t* ends;
    size_t count;
    uint32_t gap;
    // What of `text` begins at `copied_from` is also in `copy`, with readable memory behind it.
    size_t copied_from;
    const char* copy;

    std::string_view token(size_t i) const noexcept { return {text + starts[i], size_t{ends[i]} - starts[i] - gap}; }
    bool is_token(size_t i) const noexcept { return gap == 0 || ends[i] - starts[i] > gap; }
};

}  // namespace embrow
