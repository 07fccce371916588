// Text as its owner stores it -> valid UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace embrow {

// How a row's text is stored. A Python str is one of utf8 (ASCII only), latin1, ucs2 and ucs4.
enum class encoding : uint8_t { utf8, unchecked_utf8, latin1, ucs2, ucs4 };

inline constexpr size_t utf8_valid = SIZE_MAX;

// The byte where valid UTF-8 ends, or utf8_valid. Surrogates and overlong forms are invalid (RFC 3629).
size_t utf8_fault(std::string_view text) noexcept;

enum class bad_utf8 : uint8_t { strict, ignore, replace };

// A copy with each ill-formed part left out (ignore) or made U+FFFD (replace), as bytes.decode("utf-8", errors) gives
// it. A part is the longest prefix of a well-formed sequence, else one byte (Unicode 15, section 3.9, "maximal
// subpart").
std::string mend_utf8(std::string_view text, bad_utf8 policy);

// The most bytes of UTF-8 that `units` code units can become.
constexpr size_t utf8_bound(encoding from, size_t units) noexcept {
    return from == encoding::latin1 ? 2 * units : from == encoding::ucs2 ? 3 * units : 4 * units;
}

struct transcoded {
    size_t size;   // bytes written
    size_t fault;  // the first code unit that is a surrogate or no code point, or utf8_valid
};

// Writes latin1, ucs2 or ucs4 as UTF-8 to `out`, which holds utf8_bound(from, units) bytes. `data` need not be aligned.
transcoded transcode(encoding from, const void* data, size_t units, char* out) noexcept;

}  // namespace embrow
