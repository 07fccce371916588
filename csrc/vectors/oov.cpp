#include "vectors/oov.h"

#include <cmath>
#include <numbers>

namespace embrow {
namespace {

// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): output i of the
// stream `key` is mix(key + i * gamma), so any element can be had without those before it.
constexpr uint64_t gamma_step = 0x9e3779b97f4a7c15;

constexpr uint64_t mix(uint64_t z) noexcept {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

// FNV-1a over the token from a start that the seed chooses, then mixed, since FNV's low bits are weak.
uint64_t stream_key(uint64_t seed, std::string_view token) noexcept {
    uint64_t hash = 0xcbf29ce484222325 ^ mix(seed + gamma_step);
    for (const char c : token) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
    return mix(hash);
}

// 53 bits, in (0, 1].
double unit(uint64_t bits) noexcept {
    return static_cast<double>((bits >> 11) + 1) * 0x1p-53;
}

}  // namespace

void oov_row(oov_kind kind, uint64_t seed, std::string_view token, std::span<const double> mean,
             std::span<const double> spread, std::span<float> row) noexcept {
    const uint64_t key = stream_key(seed, token);
    const auto draw = [&](uint64_t i) { return unit(mix(key + (i + 1) * gamma_step)); };
    const auto put = [&](size_t j, double z) { row[j] = static_cast<float>(mean[j] + spread[j] * z); };
    if (kind == oov_kind::uniform) {
        // Uniform on (-1, 1] has variance 1/3.
        for (size_t j = 0; j < row.size(); ++j) put(j, std::numbers::sqrt3 * (2 * draw(j) - 1));
        return;
    }
    // Box and Muller, two normals from two uniforms.
    for (size_t j = 0; j < row.size(); j += 2) {
        const double radius = std::sqrt(-2 * std::log(draw(j)));
        const double angle = 2 * std::numbers::pi * draw(j + 1);
        put(j, radius * std::cos(angle));
        if (j + 1 < row.size()) put(j + 1, radius * std::sin(angle));
    }
}

}  // namespace embrow
