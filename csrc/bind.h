// What the bindings of every step share: the module's parts, in pipeline order.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "released_gil.h"

namespace embrow {

// The rows of a call that are less than this are moved with the GIL held: other Python threads wait no longer than
// handing it over would take.
constexpr size_t gil_bytes = 64 << 10;

inline std::string type_name(pybind11::handle value) {
    return pybind11::str(pybind11::type::handle_of(value).attr("__name__"));
}

// To NumPy's C interface an array of numpy.ma is one like others, in which nothing is masked.
inline bool is_masked_array(pybind11::handle value) {
    namespace py = pybind11;
    if (!py::isinstance<py::array>(value) || Py_IS_TYPE(value.ptr(), py::detail::npy_api::get().PyArray_Type_)) {
        return false;  // without an import
    }
    return py::isinstance(value, py::module_::import("numpy.ma").attr("MaskedArray"));
}

// An array that takes numbers over. To copy them is not to be left to NumPy, which lets go of the GIL, and does not
// come back to it where a daemon thread has outlived the interpreter.
template <class T>
pybind11::array_t<T, pybind11::array::c_style> array_of(std::vector<T>&& numbers) {
    auto made = std::make_unique<std::vector<T>>(std::move(numbers));
    const pybind11::capsule owner(made.get(), [](void* memory) { delete static_cast<std::vector<T>*>(memory); });
    const auto* const owned = made.release();
    return {{static_cast<pybind11::ssize_t>(owned->size())},
            {static_cast<pybind11::ssize_t>(sizeof(T))},
            owned->data(),
            owner};
}

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
