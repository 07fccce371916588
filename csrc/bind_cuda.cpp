// The module embrow._cuda: the kernels on a GPU, in pipeline order.
//
// Device memory and streams come as addresses: neither PyTorch nor another owner of device memory is linked. The caller
// has checked dtypes and shapes, has made the memory's device the current one, and holds the memory until the stream is
// done with it.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "common/cuda.h"
#include "gather/gather_cuda.h"

namespace embrow {
namespace {

namespace py = pybind11;

cudaStream_t stream_at(uintptr_t stream) {
    return reinterpret_cast<cudaStream_t>(stream);
}

gather_fault* fault_at(uintptr_t fault) {
    return reinterpret_cast<gather_fault*>(fault);
}

void gather(uintptr_t table, int64_t rows, int64_t stride_bytes, size_t row_bytes, uintptr_t ids, size_t count,
            bool ids_are_int64, uintptr_t out, uintptr_t fault, uintptr_t stream) {
    gather_rows_cuda({reinterpret_cast<const std::byte*>(table), rows, stride_bytes, row_bytes},
                     {reinterpret_cast<const void*>(ids), count, ids_are_int64}, reinterpret_cast<std::byte*>(out),
                     fault_at(fault), stream_at(stream));
}

void check_fault(uintptr_t fault, uintptr_t stream) {
    gather_fault taken;
    {
        const py::gil_scoped_release released;
        taken = take_fault_cuda(fault_at(fault), stream_at(stream));
    }
    if (taken.position == gather_fault::none) return;
    throw py::index_error(bad_id_message({taken.position, taken.value}, taken.rows));
}

}  // namespace
}  // namespace embrow

PYBIND11_MODULE(_cuda, m) {
    namespace py = pybind11;
    m.doc() = "embrow's CUDA kernels; private, use the package's Python names";

    m.def("runtime_version", &embrow::cuda_runtime_version);
    m.def("architectures", &embrow::cuda_architectures);
    m.def("devices", &embrow::cuda_devices);
    m.def("old_driver_message", &embrow::old_driver_message, py::arg("driver"), py::arg("runtime"));

    m.attr("fault_bytes") = sizeof(embrow::gather_fault);
    m.def(
        "clear_fault",
        [](uintptr_t fault, uintptr_t stream) {
            embrow::clear_fault_cuda(embrow::fault_at(fault), embrow::stream_at(stream));
        },
        py::arg("fault"), py::arg("stream"));
    m.def("check_fault", &embrow::check_fault, py::arg("fault"), py::arg("stream"));
    m.def("gather_rows", &embrow::gather, py::arg("table"), py::arg("rows"), py::arg("stride_bytes"),
          py::arg("row_bytes"), py::arg("ids"), py::arg("count"), py::arg("ids_are_int64"), py::arg("out"),
          py::arg("fault"), py::arg("stream"), py::call_guard<py::gil_scoped_release>());
}
