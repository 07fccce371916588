// An id outside the table -> Python's error: what the bindings of the CPU's kernels that take ids share.
#pragma once

#include <pybind11/pybind11.h>

#include <optional>
#include <stdexcept>

#include "gather/gather.h"

namespace embrow {

inline void raise_bad_id(const std::optional<bad_id>& bad, int64_t rows) {
    if (bad) throw pybind11::index_error(bad_id_message(*bad, rows));
}

inline void raise_bad_bag_id(const std::optional<bad_id>& bad, int64_t rows) {
    if (bad) throw std::runtime_error(bad_bag_id_message(*bad, rows));
}

}  // namespace embrow
