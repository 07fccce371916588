// Code points: their classes, their lower case, and UTF-8. The tables are the building interpreter's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "unicode_tables.h"

namespace embrow {

inline constexpr uint8_t class_space = 1;      // str.isspace
inline constexpr uint8_t class_word = 2;       // \w of re
inline constexpr uint8_t class_cased = 4;      // of the final sigma rule, as the next
inline constexpr uint8_t class_ignorable = 8;  // case-ignorable

inline uint8_t code_point_class(uint32_t code_point) noexcept {
    using namespace unicode_tables;
    return properties[property_index[code_point / block] * block + code_point % block];
}

// str.lower of one code point, but for U+0130, which becomes two.
inline uint32_t code_point_lower(uint32_t code_point) noexcept {
    using namespace unicode_tables;
    return code_point +
           static_cast<uint32_t>(lower_deltas[lower_index[code_point / block] * block + code_point % block]);
}

// Plain char is signed on some machines only.
inline bool is_ascii(char byte) noexcept {
    return static_cast<unsigned char>(byte) < 0x80;
}

inline bool is_continuation(char byte) noexcept {
    return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

// Bytes of the code point that begins with `lead`, in valid UTF-8.
inline size_t utf8_length(char lead) noexcept {
    const auto byte = static_cast<unsigned char>(lead);
    return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// The code point at `text`, in valid UTF-8.
inline uint32_t utf8_decode(const char* text) noexcept {
    const auto* byte = reinterpret_cast<const unsigned char*>(text);
    if (byte[0] < 0x80) return byte[0];
    if (byte[0] < 0xE0) return (byte[0] & 0x1Fu) << 6 | (byte[1] & 0x3Fu);
    if (byte[0] < 0xF0) return (byte[0] & 0x0Fu) << 12 | (byte[1] & 0x3Fu) << 6 | (byte[2] & 0x3Fu);
    return (byte[0] & 0x07u) << 18 | (byte[1] & 0x3Fu) << 12 | (byte[2] & 0x3Fu) << 6 | (byte[3] & 0x3Fu);
}

// Writes a code point of at most 0x10FFFF that is no surrogate; returns the end.
inline char* utf8_encode(uint32_t code_point, char* out) noexcept {
    if (code_point < 0x80) {
        *out++ = static_cast<char>(code_point);
    } else if (code_point < 0x800) {
        *out++ = static_cast<char>(0xC0 | code_point >> 6);
        *out++ = static_cast<char>(0x80 | (code_point & 0x3F));
    } else if (code_point < 0x10000) {
        *out++ = static_cast<char>(0xE0 | code_point >> 12);
        *out++ = static_cast<char>(0x80 | (code_point >> 6 & 0x3F));
        *out++ = static_cast<char>(0x80 | (code_point & 0x3F));
    } else {
        *out++ = static_cast<char>(0xF0 | code_point >> 18);
        *out++ = static_cast<char>(0x80 | (code_point >> 12 & 0x3F));
        *out++ = static_cast<char>(0x80 | (code_point >> 6 & 0x3F));
        *out++ = static_cast<char>(0x80 | (code_point & 0x3F));
    }
    return out;
}

}  // namespace embrow
