// float32, float64 and decimal numbers -> the element type of a result, rounded to nearest, ties to even.
#pragma once

#include <bit>
#include <cstdint>

#include "common/element.h"

namespace embrow {

inline float16 to_float16(double value) noexcept {
    const uint64_t bits = std::bit_cast<uint64_t>(value);
    const uint16_t sign = static_cast<uint16_t>((bits >> 48) & 0x8000);
    const uint64_t magnitude = bits & 0x7fffffffffffffff;
    if (magnitude > 0x7ff0000000000000) {
        // A NaN keeps the payload bits that fit and never turns into an infinity.
        const auto payload = static_cast<uint16_t>((magnitude >> 42) & 0x3ff);
        return {static_cast<uint16_t>(sign | 0x7c00 | (payload == 0 ? 1 : payload))};
    }
    const int exponent = static_cast<int>(magnitude >> 52) - 1023;
    if (exponent > 15) return {static_cast<uint16_t>(sign | 0x7c00)};
    if (exponent < -25) return {sign};
    // 53 significant bits; a normal half keeps 11 of them, a subnormal one fewer for each exponent below -14.
    const uint64_t significand = (magnitude & 0xfffffffffffff) | 0x10000000000000;
    const int dropped = exponent >= -14 ? 42 : 42 + (-14 - exponent);
    uint64_t kept = significand >> dropped;
    const uint64_t rest = significand & ((uint64_t{1} << dropped) - 1);
    const uint64_t middle = uint64_t{1} << (dropped - 1);
    if (rest > middle || (rest == middle && (kept & 1))) ++kept;
    // The leading bit of a normal number, and a carry out of rounding, add to the exponent field; so 65520 is infinity.
    const uint64_t field = exponent >= -14 ? static_cast<uint64_t>(exponent + 14) << 10 : 0;
    return {static_cast<uint16_t>(sign | (field + kept))};
}

template <class T>
T to_element(double value) noexcept {
    return static_cast<T>(value);
}
template <>
inline float16 to_element<float16>(double value) noexcept {
    return to_float16(value);
}

// Calls f with a value of the C++ type that `type` names.
template <class F>
decltype(auto) with_element(element type, F&& f) {
    switch (type) {
        case element::float16:
            return f(float16{});
        case element::float64:
            return f(double{});
        default:
            return f(float{});
    }
}

}  // namespace embrow
