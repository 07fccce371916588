#include "text/lower.h"

#include <cstdint>

#include "text/unicode.h"

namespace embrow {
namespace {

constexpr uint32_t capital_sigma = 0x3A3;
constexpr uint32_t small_sigma = 0x3C3;
constexpr uint32_t final_sigma = 0x3C2;
constexpr uint32_t capital_i_dotted = 0x130;
constexpr uint32_t combining_dot_above = 0x307;

// Unicode 3.13, Final_Sigma: a cased letter before, none after, case-ignorable code points between not counting.
bool is_final_sigma(const char* text, size_t size, size_t at) noexcept {
    uint8_t found = 0;
    for (size_t i = at; i > 0;) {
        do --i;
        while (is_continuation(text[i]));
        found = code_point_class(utf8_decode(text + i));
        if (!(found & class_ignorable)) break;
    }
    if (!(found & class_cased)) return false;
    found = 0;
    for (size_t i = at + 2; i < size; i += utf8_length(text[i])) {
        found = code_point_class(utf8_decode(text + i));
        if (!(found & class_ignorable)) break;
    }
    return !(found & class_cased);
}

char ascii_lower(char c) noexcept {
    return static_cast<char>(c | (static_cast<unsigned char>(c - 'A') < 26 ? 0x20 : 0));
}

// Lowers ASCII up to the first other byte, 16 at a time, which the compiler turns into vector code; returns how many.
size_t lower_ascii(const char* text, size_t size, char* out) noexcept {
    size_t i = 0;
    for (; i + 16 <= size; i += 16) {
        char seen = 0;
        for (size_t k = 0; k < 16; ++k) seen = static_cast<char>(seen | text[i + k]);
        if (!is_ascii(seen)) break;
        for (size_t k = 0; k < 16; ++k) out[i + k] = ascii_lower(text[i + k]);
    }
    for (; i < size && is_ascii(text[i]); ++i) out[i] = ascii_lower(text[i]);
    return i;
}

}  // namespace

size_t lower_row(const char* text, size_t size, char* out) noexcept {
    char* const begin = out;
    for (size_t i = 0; i < size;) {
        const size_t ascii = lower_ascii(text + i, size - i, out);
        i += ascii;
        out += ascii;
        for (; i < size && !is_ascii(text[i]); i += utf8_length(text[i])) {
            const uint32_t code_point = utf8_decode(text + i);
            if (code_point == capital_sigma) {
                out = utf8_encode(is_final_sigma(text, size, i) ? final_sigma : small_sigma, out);
            } else if (code_point == capital_i_dotted) {
                *out++ = 'i';
                out = utf8_encode(combining_dot_above, out);
            } else {
                out = utf8_encode(code_point_lower(code_point), out);
            }
        }
    }
    return static_cast<size_t>(out - begin);
}

}  // namespace embrow
