// decimal text -> double: Python's float() on the fields of vector files.
#pragma once

#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
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

// Appends the decimal digits at `at` to `digits`, eight at a time, since a branch for each would often be mispredicted.
//   the bytes, first character lowest:   '5' '0' '3' ' ' ...   less '0' each:   5 0 3 x ...
//   moved up until the digits end it:    0 0 0 0 0 5 0 3       then neighbours join: 10 a + b, 100 a + b, 10000 a + b
inline const char* parse_digits(const char* at, const char* end, uint64_t& digits) noexcept {
    static_assert(std::endian::native == std::endian::little);
    static constexpr uint64_t powers_of_ten[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    while (end - at >= 8) {
        uint64_t eight = 0;
        std::memcpy(&eight, at, 8);
        eight ^= 0x3030303030303030;
        // The lowest high bit set is that of the first byte above 9; carries reach only bytes after it.
        const uint64_t others = (eight | (eight + 0x7676767676767676)) & 0x8080808080808080;
        const int count = others == 0 ? 8 : std::countr_zero(others) / 8;
        if (count == 0) return at;
        eight <<= 64 - 8 * count;
        eight = (eight * 10 + (eight >> 8)) & 0x00ff00ff00ff00ff;
        eight = (eight * 100 + (eight >> 16)) & 0x0000ffff0000ffff;
        eight = (eight * 10000 + (eight >> 32)) & 0xffffffff;
        digits = digits * powers_of_ten[count] + eight;
        at += count;
        if (count < 8) return at;
    }
    for (; at != end && static_cast<uint8_t>(*at - '0') < 10; ++at) {
        digits = 10 * digits + static_cast<uint8_t>(*at - '0');
    }
    return at;
}

// Reads sign, digits, point, digits where there are at most 18 digits and they make an integer of at most 2^53: that
// integer and the power of ten are exact doubles, so their quotient is rounded once (Clinger 1990, "How to read
// floating point numbers accurately"). Returns nullptr for any other number; an exponent is the caller's to look for.
inline const char* parse_short_number(const char* begin, const char* end, double& value) noexcept {
    static constexpr double powers_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                               1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
    const bool negative = *begin == '-';
    const char* const digits_begin = begin + negative;
    const char* at = digits_begin;
    uint64_t digits = 0;
    for (; at != end && static_cast<uint8_t>(*at - '0') < 10; ++at) {
        digits = 10 * digits + static_cast<uint8_t>(*at - '0');
    }
    int64_t count = at - digits_begin;
    int64_t decimals = 0;
    if (at != end && *at == '.') {
        const char* const decimals_begin = ++at;
        at = parse_digits(at, end, digits);
        decimals = at - decimals_begin;
        count += decimals;
    }
    if (count == 0 || count > 18 || digits > (uint64_t{1} << 53)) return nullptr;
    const double size = static_cast<double>(digits) / powers_of_ten[decimals];
    value = negative ? -size : size;
    return at;
}

// Reads one number at `begin`, which must lie before `end`. Returns where it stops, or nullptr when there is none.
inline const char* parse_number(const char* begin, const char* end, double& value) noexcept {
    if (*begin == '+') {
        ++begin;
        if (begin == end || *begin == '-') return nullptr;
    }
    const char* const short_stop = parse_short_number(begin, end, value);
    if (short_stop != nullptr && (short_stop == end || *short_stop == ' ')) return short_stop;
    const auto [stop, fault] = std::from_chars(begin, end, value);
    if (fault == std::errc::invalid_argument || stop[-1] == ')') return nullptr;  // nan(...) is C's, not Python's
    if (fault == std::errc::result_out_of_range) value = beyond_double(begin, stop);
    return stop;
}

}  // namespace embrow
