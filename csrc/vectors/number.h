// decimal text -> double: Python's float() on the fields of vector files.
#pragma once

#include <charconv>
#include <cstdint>
#include <limits>
#include <system_error>

namespace embrow {

// What from_chars calls out of range is infinity or zero to float(): which one follows from the power of ten of the
// first digit that is not zero.
inline double beyond_double(const char* begin, const char* end) noexcept {
    const bool negative = begin != end && *begin == '-';
    const char* at = negative ? begin + 1 : begin;
    int64_t power = 0;
    bool point = false;
    bool leading = true;
    for (; at != end && *at != 'e' && *at != 'E'; ++at) {
        if (*at == '.') {
            point = true;
        } else if (leading && *at == '0') {
            if (point) --power;
        } else {
            leading = false;
            if (!point) ++power;
        }
    }
    int64_t exponent = 0;
    bool exponent_negative = false;
    if (at != end) {
        ++at;
        if (at != end && (*at == '-' || *at == '+')) exponent_negative = *at++ == '-';
        for (; at != end && exponent < (int64_t{1} << 48); ++at) exponent = 10 * exponent + (*at - '0');
    }
    power += exponent_negative ? -exponent : exponent;
    const double size = power > 0 ? std::numeric_limits<double>::infinity() : 0.0;
    return negative ? -size : size;
}

// Reads one number at `begin`, which must lie before `end`. Returns where it stops, or nullptr when there is none.
inline const char* parse_number(const char* begin, const char* end, double& value) noexcept {
    if (*begin == '+') {
        ++begin;
        if (begin == end || *begin == '-') return nullptr;
    }
    const auto [stop, fault] = std::from_chars(begin, end, value);
    if (fault == std::errc::invalid_argument || stop[-1] == ')') return nullptr;  // nan(...) is C's, not Python's
    if (fault == std::errc::result_out_of_range) value = beyond_double(begin, stop);
    return stop;
}

}  // namespace embrow
