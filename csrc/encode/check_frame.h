// What encoding, on the CPU or a GPU, takes as bos, eos and the length that rows are cut to.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "vocab/slots.h"

namespace embrow {

// Throws where a row would have no room for bos and eos, for which the kernels would write beyond it.
inline void check_frame(int32_t bos_id, int32_t eos_id, int64_t max_length) {
    const int added = (bos_id != no_id) + (eos_id != no_id);
    if (max_length < 0 || max_length >= added) return;
    throw std::invalid_argument("max_length is " + std::to_string(max_length) +
                                ", which has no room for bos_token and eos_token");
}

}  // namespace embrow
