// The bindings of pad on a GPU: check_ragged, pad_ragged.
#include "bind_cuda.h"
#include "pad/pad_cuda.h"

namespace embrow {
namespace {

namespace py = pybind11;

ragged_ids ids_at(uintptr_t values, int64_t count, bool values_are_int64, uintptr_t offsets, int64_t rows) {
    return {reinterpret_cast<const void*>(values), count, values_are_int64, reinterpret_cast<const int64_t*>(offsets),
            rows};
}

void check(uintptr_t values, int64_t count, bool values_are_int64, uintptr_t offsets, int64_t rows, bool to_int32,
           uintptr_t facts, uintptr_t stream) {
    check_ragged_cuda(ids_at(values, count, values_are_int64, offsets, rows), to_int32,
                      reinterpret_cast<ragged_facts*>(facts), stream_at(stream));
}

template <class Id>
void pad_as(const ragged_ids& ids, size_t width, int64_t value, bool pad_left, int64_t kept, bool truncate_left,
            uintptr_t out, uintptr_t lengths, uintptr_t stream) {
    pad_rows_cuda(ids, pad_layout<Id>{width, static_cast<Id>(value), pad_left}, kept, truncate_left,
                  reinterpret_cast<Id*>(out), reinterpret_cast<int64_t*>(lengths), stream_at(stream));
}

void pad(uintptr_t values, int64_t count, bool values_are_int64, uintptr_t offsets, int64_t rows, size_t width,
         int64_t value, bool pad_left, int64_t kept, bool truncate_left, bool wide, uintptr_t out, uintptr_t lengths,
         uintptr_t stream) {
    const auto pad_rows = wide ? pad_as<int64_t> : pad_as<int32_t>;
    pad_rows(ids_at(values, count, values_are_int64, offsets, rows), width, value, pad_left, kept, truncate_left, out,
             lengths, stream);
}

}  // namespace

void bind_pad_cuda(py::module_& m) {
    m.attr("ragged_facts_bytes") = sizeof(ragged_facts);
    m.def("check_ragged", &check, py::arg("values"), py::arg("count"), py::arg("values_are_int64"), py::arg("offsets"),
          py::arg("rows"), py::arg("to_int32"), py::arg("facts"), py::arg("stream"), py::call_guard<released_gil>());
    m.def("pad_ragged", &pad, py::arg("values"), py::arg("count"), py::arg("values_are_int64"), py::arg("offsets"),
          py::arg("rows"), py::arg("width"), py::arg("value"), py::arg("pad_left"), py::arg("kept"),
          py::arg("truncate_left"), py::arg("wide"), py::arg("out"), py::arg("lengths"), py::arg("stream"),
          py::call_guard<released_gil>());
}

}  // namespace embrow
