// The module embrow._cuda: the kernels on a GPU, one bind_<step>_cuda per step, in pipeline order.
#include "bind_cuda.h"

#include <pybind11/stl.h>

#include "common/cuda.h"
#include "gather/gather.h"

PYBIND11_MODULE(_cuda, m) {
    namespace py = pybind11;
    m.doc() = "embrow's CUDA kernels; private, use the package's Python names";

    m.def("runtime_version", &embrow::cuda_runtime_version);
    m.def("architectures", &embrow::cuda_architectures);
    m.def("devices", &embrow::cuda_devices);
    m.def("old_driver_message", &embrow::old_driver_message, py::arg("driver"), py::arg("runtime"));

    // The position and value of an id outside a table of so many rows.
    m.def(
        "bad_id_message",
        [](size_t position, int64_t value, int64_t rows) { return embrow::bad_id_message({position, value}, rows); },
        py::arg("position"), py::arg("value"), py::arg("rows"));
    m.def(
        "bad_bag_id_message",
        [](size_t position, int64_t value, int64_t rows) {
            return embrow::bad_bag_id_message({position, value}, rows);
        },
        py::arg("position"), py::arg("value"), py::arg("rows"));

    embrow::bind_encode_cuda(m);
    embrow::bind_pad_cuda(m);
    embrow::bind_gather_cuda(m);
    embrow::bind_pool_cuda(m);
    embrow::bind_scatter_cuda(m);
    embrow::bind_update_cuda(m);
}
