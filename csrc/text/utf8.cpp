#include "text/utf8.h"

#include <bit>
#include <cstring>

#include "common/load.h"
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

struct utf8_part {
    size_t size;
    bool good;
};

// How many bytes there are before the first that is not ASCII.
size_t ascii_bytes(const char* from, size_t size) noexcept {
    const auto before = [](uint64_t high) { return static_cast<size_t>(std::countr_zero(high)) / 8; };
    size_t at = 0;
    for (; size - at >= 32; at += 32) {
        const uint64_t any = load8(from + at) | load8(from + at + 8) | load8(from + at + 16) | load8(from + at + 24);
        if (any & high_bits) break;
    }
    for (; size - at >= 8; at += 8) {
        if (const uint64_t high = load8(from + at) & high_bits) return at + before(high);
    }
    if (size >= 8) {
        // What is left, with bytes before it that are known.
        const uint64_t high = load8(from + size - 8) & high_bits;
        return high ? size - 8 + before(high) : size;
    }
    while (at < size && static_cast<uint8_t>(from[at]) < 0x80) ++at;
    return at;
}

// The well-formed sequence, or the ill-formed part, at the start of `text`, which is not empty: Unicode 15, table 3-7.
utf8_part first_part(std::string_view text) noexcept {
    const auto at = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    const uint8_t lead = at(0);
    if (lead < 0x80) return {1, true};
    if (lead < 0xC2 || lead > 0xF4) return {1, false};
    // Only the second byte's range depends on the lead.
    const uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    const size_t size = utf8_length(text[0]);
    for (size_t i = 1; i < size; ++i) {
        if (i == text.size()) return {i, false};
        if (at(i) < (i == 1 ? low : 0x80) || at(i) > (i == 1 ? high : 0xBF)) return {i, false};
    }
    return {size, true};
}

}  // namespace

size_t utf8_fault(std::string_view text) noexcept {
    for (size_t at = 0;;) {
        at += ascii_bytes(text.data() + at, text.size() - at);
        if (at == text.size()) return utf8_valid;
        do {
            const utf8_part found = first_part(text.substr(at));
            if (!found.good) return at;
            at += found.size;
        } while (at < text.size() && static_cast<uint8_t>(text[at]) >= 0x80);
    }
}

std::string mend_utf8(std::string_view text, bad_utf8 policy) {
    std::string mended;
    while (!text.empty()) {
        const utf8_part found = first_part(text);
        if (found.good) {
            mended.append(text.substr(0, found.size));
        } else if (policy == bad_utf8::replace) {
            mended.append("\xEF\xBF\xBD");
        }
        text.remove_prefix(found.size);
    }
    return mended;
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
