#include "bind_cuda.h"
#include "gather/gather_cuda.h"

namespace embrow {
namespace {

namespace py = pybind11;

void gather(uintptr_t table, int64_t rows, int64_t stride_bytes, size_t row_bytes, uintptr_t ids, size_t count,
            bool ids_are_int64, uintptr_t out, uintptr_t fault, uintptr_t stream) {
    gather_rows_cuda({reinterpret_cast<const std::byte*>(table), rows, stride_bytes, row_bytes},
                     {reinterpret_cast<const void*>(ids), count, ids_are_int64}, reinterpret_cast<std::byte*>(out),
                     fault_at(fault), stream_at(stream));
}

}  // namespace

void bind_gather_cuda(py::module_& m) {
    m.def("gather_rows", &gather, py::arg("table"), py::arg("rows"), py::arg("stride_bytes"), py::arg("row_bytes"),
          py::arg("ids"), py::arg("count"), py::arg("ids_are_int64"), py::arg("out"), py::arg("fault"),
          py::arg("stream"), py::call_guard<released_gil>());
}

}  // namespace embrow
