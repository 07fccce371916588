// counter, key -> random words: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
// 1, 2, 3" (SC 2011), section 4. It keeps no state, so whoever knows the counter has the words, in any order.
//
// Included as update_rows.h is; `Lanes` says how many counters go at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/device.h"

namespace embrow {
namespace {

template <class Lanes>
struct random_words {
    typename Lanes::words word[4];
};

template <class Lanes>
EMBROW_DEVICE random_words<Lanes> philox(random_words<Lanes> counter, uint64_t key) noexcept {
    auto low_key = static_cast<uint32_t>(key);
    auto high_key = static_cast<uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
        const auto even = Lanes::multiply(counter.word[0], 0xD2511F53);
        const auto odd = Lanes::multiply(counter.word[2], 0xCD9E8D57);
        counter = {{odd.high ^ counter.word[1] ^ low_key, odd.low, even.high ^ counter.word[3] ^ high_key, even.low}};
        low_key += 0x9E3779B9;
        high_key += 0xBB67AE85;
    }
    return counter;
}

}  // namespace
}  // namespace embrow
