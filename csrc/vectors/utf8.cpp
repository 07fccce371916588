#include "vectors/utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace embrow {
namespace {

struct sequence {
    size_t length;
    bool good;
};

// The well-formed sequence, or the ill-formed part, at the start of non-empty `bytes`: Unicode 15, table 3-7.
sequence next_sequence(std::string_view bytes) noexcept {
    const auto at = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
    const uint8_t lead = at(0);
    if (lead < 0x80) return {1, true};
    if (lead < 0xc2 || lead > 0xf4) return {1, false};
    const size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    for (size_t i = 1; i < length; ++i) {
        if (i == bytes.size()) return {i, false};
        if (at(i) < (i == 1 ? low : 0x80) || at(i) > (i == 1 ? high : 0xbf)) return {i, false};
    }
    return {length, true};
}

}  // namespace

size_t first_bad_utf8(std::string_view bytes) noexcept {
    size_t at = 0;
    while (at < bytes.size()) {
        uint64_t eight = 0;
        while (at + 8 <= bytes.size()) {
            std::memcpy(&eight, bytes.data() + at, 8);
            if (eight & 0x8080808080808080) break;
            at += 8;
        }
        if (at == bytes.size()) break;
        const sequence found = next_sequence(bytes.substr(at));
        if (!found.good) return at;
        at += found.length;
    }
    return std::string_view::npos;
}

std::string mend_utf8(std::string_view bytes, bad_utf8 policy) {
    std::string mended;
    while (!bytes.empty()) {
        const sequence found = next_sequence(bytes);
        if (found.good) {
            mended.append(bytes.substr(0, found.length));
        } else if (policy == bad_utf8::replace) {
            mended.append("\xef\xbf\xbd");
        }
        bytes.remove_prefix(found.length);
    }
    return mended;
}

}  // namespace embrow
