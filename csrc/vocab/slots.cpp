#include "vocab/slots.h"

#include <algorithm>
#include <bit>

namespace embrow {

size_t index_slots(size_t tokens) noexcept {
    return std::bit_ceil(std::max<size_t>(2 * tokens, 2));
}

void fill_index(std::span<uint32_t> index, std::span<const uint64_t> hashes) noexcept {
    const uint32_t mask = slot_mask(index);
    constexpr size_t ahead = 16;
    for (size_t id = 0; id < hashes.size(); ++id) {
        if (id + ahead < hashes.size()) __builtin_prefetch(&index[hashes[id + ahead] & mask], 1);
        size_t at = hashes[id] & mask;
        while (index[at]) at = (at + 1) & mask;
        index[at] = make_slot(hashes[id], id, mask);
    }
}

}  // namespace embrow
