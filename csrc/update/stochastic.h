// number, random bits -> one of the two 16-bit numbers around it, the nearer the likelier, so that the mean over the
// bits is the number itself. Steps too small for rounding to nearest to keep are kept on average.
//
// The bits depend on seed, step, tensor, row and column alone. Column c has word c / 8 % 4 of the philox block
//
//     counter = (c / 32 * 8 + c % 8, row, step, tensor)      key = seed
//
// so that four vectors of eight columns use up one vector of blocks.
//
// Included as update_rows.h is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "common/device.h"
#include "common/element.h"
#include "update/philox.h"
#include "update/update.h"

namespace embrow {
namespace {

constexpr size_t word_columns = 8;
constexpr size_t block_columns = 4 * word_columns;

// The bits for the columns that Lanes takes at `column` are at word[column / word_columns % 4] of the result.
template <class Lanes>
EMBROW_DEVICE random_words<Lanes> draw(const stochastic_rounding& rounding, uint32_t tensor, uint32_t row,
                                       size_t column) noexcept {
    const size_t block = column / block_columns * word_columns + column % word_columns;
    return philox<Lanes>({{Lanes::count_from(static_cast<uint32_t>(block)), Lanes::all_words(row),
                           Lanes::all_words(rounding.step), Lanes::all_words(tensor)}},
                         rounding.seed);
}

// The result is a number of the type, which the store that follows does not round again. What lies past the largest
// finite number, or is none, is left to that store.
template <class Lanes>
EMBROW_DEVICE typename Lanes::wide round_stochastically(typename Lanes::wide number,
                                                        typename Lanes::words random) noexcept {
    const auto bits = Lanes::bits_of(number);
    const auto magnitude = bits & 0x7fffffffU;
    if constexpr (std::is_same_v<typename Lanes::value, bfloat16>) {
        const auto rounded = Lanes::number_of((bits + (random >> 16)) & 0xffff0000U);
        return magnitude < 0x7f7f0000U ? rounded : number;
    } else {
        const auto rounded = Lanes::number_of((bits + (random >> 19)) & 0xffffe000U);
        // Below 2^-14 float16 has steps of 2^-24.
        const auto steps = Lanes::number_of(magnitude) * Lanes::all(0x1p24);
        const auto whole = Lanes::floor(steps);
        const auto up = Lanes::to_number(random >> 8) * Lanes::all(0x1p-24) < steps - whole;
        const auto small = (whole + (up ? Lanes::all(1) : Lanes::all(0))) * Lanes::all(0x1p-24);
        const auto signed_small = Lanes::number_of(Lanes::bits_of(small) | (bits ^ magnitude));
        const auto finite = magnitude < 0x38800000U ? signed_small : rounded;
        return magnitude < 0x477fe000U ? finite : number;
    }
}

}  // namespace
}  // namespace embrow
