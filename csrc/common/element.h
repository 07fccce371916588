// The element types of tables and gradients, and the wider type each is summed in.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace embrow {

enum class element : uint8_t { float32, float64, bfloat16, float16 };

constexpr size_t element_bytes(element type) noexcept {
    return type == element::float64 ? 8 : type == element::float32 ? 4 : 2;
}

// Upper half of a float32; rounds to nearest even.
struct bfloat16 {
    uint16_t bits;

    explicit operator float() const noexcept { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

    static bfloat16 from(float value) noexcept {
        const auto wide = std::bit_cast<uint32_t>(value);
        if ((wide & 0x7fffffffU) > 0x7f800000U) return {0x7fc0};
        return {static_cast<uint16_t>((wide + 0x7fffU + ((wide >> 16) & 1U)) >> 16)};
    }
};

// IEEE 754 binary16; rounds to nearest even, past 65519.99 to infinity.
struct float16 {
    uint16_t bits;

    explicit operator float() const noexcept {
        const uint32_t sign = static_cast<uint32_t>(bits & 0x8000U) << 16;
        const uint32_t exponent = (bits >> 10) & 0x1fU;
        const uint32_t fraction = bits & 0x3ffU;
        if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000U | (fraction << 13));
        if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112U) << 23) | (fraction << 13));
        // Subnormal: fraction * 2^-24, exact in float32.
        const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
        return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
    }

    static float16 from(float value) noexcept {
        const auto wide = std::bit_cast<uint32_t>(value);
        const auto sign = static_cast<uint16_t>((wide >> 16) & 0x8000U);
        const uint32_t magnitude = wide & 0x7fffffffU;
        if (magnitude > 0x7f800000U) return {static_cast<uint16_t>(sign | 0x7e00U | ((magnitude >> 13) & 0x3ffU))};
        if (magnitude >= 0x477ff000U) return {static_cast<uint16_t>(sign | 0x7c00U)};
        if (magnitude < 0x38800000U) {
            // Subnormal result: adding 0.5 leaves the fraction, rounded, in the low bits.
            const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
            return {static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000U))};
        }
        const uint32_t odd = (magnitude >> 13) & 1U;
        return {static_cast<uint16_t>(sign | ((magnitude - 0x38000000U + 0xfffU + odd) >> 13))};
    }
};

template <class T>
struct sum_of {
    using type = float;
};
template <>
struct sum_of<double> {
    using type = double;
};

template <class T>
T narrow(typename sum_of<T>::type value) noexcept {
    if constexpr (requires { T::from(value); }) {
        return T::from(value);
    } else {
        return value;
    }
}

}  // namespace embrow
