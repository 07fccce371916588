// Which ids make up each bag: runs of the ids, one after the other, that cover all of them.
#pragma once

#include <cstddef>

#include "gather/gather.h"

namespace embrow {

struct bag_list {
    size_t count;
    size_t width;     // ids of every bag, where there are no offsets
    id_list offsets;  // where each bag starts; data is null if all are `width` long
    size_t ids;

    size_t begin(size_t bag) const noexcept {
        return offsets.data == nullptr ? bag * width : static_cast<size_t>(offsets[bag]);
    }
    size_t end(size_t bag) const noexcept { return bag + 1 == count ? ids : begin(bag + 1); }
};

// Whether offsets begin with 0, never fall, and the last is at most `ids`, or just that if it is the last bag's end:
// only then do they make a bag_list.
bool are_bag_offsets(const id_list& offsets, size_t ids, bool with_end) noexcept;

}  // namespace embrow
