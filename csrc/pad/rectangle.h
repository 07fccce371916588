// The array that a batch is written to.
#pragma once

#include <pybind11/numpy.h>

#include <cstdint>
#include <string>

namespace embrow {

// Raises ValueError for a width that no array can have, and for multiples of 0.
inline size_t round_up(size_t width, size_t multiple) {
    if (multiple == 0) throw pybind11::value_error("pad_to_multiple_of is 0; it is 1 or more");
    constexpr size_t widest = PTRDIFF_MAX / 16;
    if (width > widest || multiple > widest) {
        throw pybind11::value_error("the width of " + std::to_string(width) + " in multiples of " +
                                    std::to_string(multiple) + " is beyond what an array can have");
    }
    return (width + multiple - 1) / multiple * multiple;
}

// The caller's `out`, checked, or a new array of rows x width. Raises ValueError, beginning with `doing`.
template <class Id>
pybind11::array_t<Id> rectangle(const pybind11::object& out, size_t rows, size_t width, const std::string& doing) {
    namespace py = pybind11;
    if (out.is_none()) return py::array_t<Id>({rows, width});
    const std::string expected = doing + ": out must be a writable C-ordered array of int" +
                                 std::to_string(8 * sizeof(Id)) + ", shape (" + std::to_string(rows) + ", " +
                                 std::to_string(width) + ")";
    if (!py::isinstance<py::array>(out)) throw py::value_error(expected);
    const auto given = out.cast<py::array>();
    const bool fits = given.dtype().equal(py::dtype::of<Id>()) && given.ndim() == 2 &&
                      given.shape(0) == static_cast<py::ssize_t>(rows) &&
                      given.shape(1) == static_cast<py::ssize_t>(width) && given.writeable() &&
                      (given.flags() & py::array::c_style) != 0;
    if (!fits) {
        throw py::value_error(expected + "; found " + std::string(py::str(given.attr("dtype"))) + ", shape " +
                              std::string(py::str(given.attr("shape"))));
    }
    return given.cast<py::array_t<Id>>();
}

}  // namespace embrow
