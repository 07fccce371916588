// What an id in a bag takes of the gradients of bags.
#pragma once

#include <cstdint>

namespace embrow {

// The row of its bag, and what that is multiplied by.
struct gradient_source {
    double weight;
    uint64_t row;
};

}  // namespace embrow
