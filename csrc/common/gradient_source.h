#pragma once

#include <cstdint>

namespace embrow {

// The gradient that an id shares with its bag: which row of the gradients, and what it is multiplied by.
struct gradient_source {
    double weight;
    uint32_t row;
};

}  // namespace embrow
