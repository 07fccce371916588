// (seed, token) -> random rows for words that have no vector.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace embrow {

enum class oov_kind : uint8_t { normal, uniform };

// row[j] = mean[j] + spread[j] * z[j], where z has mean 0 and variance 1 and depends on the seed, the token's bytes and
// j alone. `mean`, `spread` and `row` have the same length.
void oov_row(oov_kind kind, uint64_t seed, std::string_view token, std::span<const double> mean,
             std::span<const double> spread, std::span<float> row) noexcept;

}  // namespace embrow
