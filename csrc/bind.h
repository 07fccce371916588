// What the bindings of every step share: the module's parts, in pipeline order.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <cstddef>

namespace embrow {

// The rows of a call that are less than this are moved with the GIL held: other Python threads wait no longer than
// handing it over would take.
constexpr size_t gil_bytes = 64 << 10;

// Each defined in <step>/<step>_bind.cpp.
void bind_vocab(pybind11::module_& m);
void bind_encode(pybind11::module_& m);
void bind_pack(pybind11::module_& m);
void bind_pad(pybind11::module_& m);
void bind_gather(pybind11::module_& m);
void bind_scatter(pybind11::module_& m);
void bind_update(pybind11::module_& m);
void bind_vectors(pybind11::module_& m);
void bind_subwords(pybind11::module_& m);

}  // namespace embrow
