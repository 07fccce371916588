// UTF-8 -> where its tokens start and end.
#pragma once

#include <cstddef>
#include <cstdint>

namespace embrow {

enum class tokenizer : uint8_t {
    whitespace,  // str.split(): runs of anything but the 29 code points of str.isspace
    words,       // re.findall(r"\w+|[^\w\s]+"): runs of word characters, runs of other characters
};

inline constexpr size_t split_block = 64;

// Places written for `size` bytes never exceed size + split_slack, as some are written before they are counted.
inline constexpr size_t split_slack = 16;

// What is known of a row, and what one segment of it leaves to the next: the class of its last byte, and the classes of
// bytes that a code point beginning in it has in the next one, bit i for byte i.
struct split_state {
    // Whether only ASCII may be read, as the rest is not known to be UTF-8; and whether there was more.
    bool ascii_only = false;
    bool beyond_ascii = false;
    uint64_t in_word = 0;
    uint64_t in_other = 0;
    uint64_t spill_space = 0;
    uint64_t spill_word = 0;
    uint64_t spill_other = 0;
};

struct split_counts {
    size_t starts;
    size_t ends;
};

// Reads text[0, size), a segment of a row of valid UTF-8 that ends at `row_end`; every segment but the row's last has a
// multiple of split_block bytes. With state.ascii_only the row may be any bytes, and what is written counts only if
// state.beyond_ascii stays unset. Writes places relative to `text`, in order, to `starts` and `ends`, which hold
// size + split_slack entries each:
//
//     words        where tokens start, and where they end. A token that crosses segments has its start
//                  in one and its end in another; one that reaches the row's end may lack its end.
//     whitespace   where bytes of white space end, to `ends` alone: what lies between two of them is a
//                  token or nothing. Most text has one space between tokens, so half of the places do.
using split_kernel = split_counts(const char* text, size_t size, const char* row_end, uint32_t* starts, uint32_t* ends,
                                  split_state& state);

split_kernel* choose_split(tokenizer kind) noexcept;

split_kernel split_whitespace_serial, split_words_serial;
#if defined(__x86_64__)
split_kernel split_whitespace_avx2, split_words_avx2, split_whitespace_avx512, split_words_avx512;
#endif
#if defined(__aarch64__)
split_kernel split_whitespace_neon, split_words_neon;
#endif

}  // namespace embrow
