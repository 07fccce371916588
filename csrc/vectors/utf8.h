// bytes -> valid UTF-8, as Python's bytes.decode("utf-8", errors) would give it.
#pragma once

#include <string>
#include <string_view>

namespace embrow {

enum class bad_utf8 : unsigned char { strict, ignore, replace };

// The position of the first byte that no well-formed sequence holds, or npos.
size_t first_bad_utf8(std::string_view bytes) noexcept;

// A copy with each ill-formed part left out (ignore) or made U+FFFD (replace). A part is the longest prefix of a
// well-formed sequence, else one byte (Unicode 15, section 3.9, "maximal subpart"), which is also CPython's rule.
std::string mend_utf8(std::string_view bytes, bad_utf8 policy);

}  // namespace embrow
