#include "text/utf8.h"

#include <cstring>

#include "text/unicode.h"

namespace embrow {
namespace {

constexpr uint64_t high_bits = 0x8080808080808080;

template <class Unit>
transcoded transcode_units(const void* data, size_t units, char* out) noexcept {
    const char* in = static_cast<const char*>(data);
    char* const begin = out;
    for (size_t i = 0; i < units; ++i) {
        Unit unit;
        std::memcpy(&unit, in + i * sizeof(Unit), sizeof(Unit));
        if constexpr (sizeof(Unit) > 1) {
            if ((unit >= 0xD800 && unit < 0xE000) || static_cast<uint32_t>(unit) > 0x10FFFF) {
                return {static_cast<size_t>(out - begin), i};
            }
        }
        out = utf8_encode(unit, out);
    }
    return {static_cast<size_t>(out - begin), utf8_valid};
}

}  // namespace

size_t utf8_fault(const char* text, size_t size) noexcept {
    const auto* byte = reinterpret_cast<const unsigned char*>(text);
    size_t i = 0;
    while (i < size) {
        if (i + 8 <= size) {
            uint64_t word;
            std::memcpy(&word, text + i, 8);
            if ((word & high_bits) == 0) {
                i += 8;
                continue;
            }
        }
        const unsigned char lead = byte[i];
        if (lead < 0x80) {
            ++i;
            continue;
        }
        // Table 3-7 of the Unicode Standard: the second byte's range depends on the lead.
        unsigned char low = 0x80;
        unsigned char high = 0xBF;
        if (lead < 0xC2 || lead > 0xF4) return i;
        if (lead == 0xE0) low = 0xA0;
        if (lead == 0xED) high = 0x9F;
        if (lead == 0xF0) low = 0x90;
        if (lead == 0xF4) high = 0x8F;
        const size_t length = utf8_length(lead);
        if (i + length > size || byte[i + 1] < low || byte[i + 1] > high) return i;
        for (size_t k = 2; k < length; ++k) {
            if (!is_continuation(byte[i + k])) return i;
        }
        i += length;
    }
    return utf8_valid;
}

transcoded transcode(encoding from, const void* data, size_t units, char* out) noexcept {
    switch (from) {
        case encoding::latin1:
            return transcode_units<uint8_t>(data, units, out);
        case encoding::ucs2:
            return transcode_units<uint16_t>(data, units, out);
        default:
            return transcode_units<uint32_t>(data, units, out);
    }
}

}  // namespace embrow
