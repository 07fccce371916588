// Where bags begin, on the device.
#pragma once

#include <cstdint>

#include "common/ids.cuh"
#include "gather/bags.h"

namespace embrow::device {

__device__ inline int64_t bag_begin(const bag_list& bags, int64_t bag) {
    return bags.offsets.data == nullptr ? bag * static_cast<int64_t>(bags.width) : load_id(bags.offsets, bag);
}

}  // namespace embrow::device
