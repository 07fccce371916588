#include "bind_cuda.h"
#include "gather/pool_cuda.h"

namespace embrow {
namespace {

namespace py = pybind11;

bag_faults* bag_faults_at(uintptr_t faults) {
    return reinterpret_cast<bag_faults*>(faults);
}

void pool(pooling mode, element type, uintptr_t table, int64_t rows, int64_t stride_bytes, size_t dim, uintptr_t ids,
          size_t count, bool ids_are_int64, uintptr_t offsets, size_t offset_count, bool offsets_are_int64, size_t bags,
          size_t width, uintptr_t weights, int64_t padding_idx, uintptr_t out, uintptr_t winners, uintptr_t workspace,
          uintptr_t faults, uintptr_t stream) {
    below_limit("embedding_bag", count, "ids");
    below_limit("embedding_bag", static_cast<size_t>(rows), "rows of the table");
    const pool_job job{
        .mode = mode,
        .type = type,
        .table = {reinterpret_cast<const std::byte*>(table), rows, stride_bytes, dim * element_bytes(type)},
        .ids = {reinterpret_cast<const void*>(ids), count, ids_are_int64},
        .bags = {bags, width, {reinterpret_cast<const void*>(offsets), offset_count, offsets_are_int64}, count},
        .weights = reinterpret_cast<const std::byte*>(weights),
        .padding_idx = padding_idx,
        .out = reinterpret_cast<std::byte*>(out),
        .winners = reinterpret_cast<int64_t*>(winners)};
    const released_gil released;
    pool_bags_cuda(job, reinterpret_cast<std::byte*>(workspace), bag_faults_at(faults), stream_at(stream));
}

}  // namespace

void bind_pool_cuda(py::module_& m) {
    py::module_::import("embrow._core");  // has Pooling and Element
    m.def(
        "bad_offset_message",
        [](uint64_t position, int64_t value, int64_t ids) { return bad_offset_message({position, value, ids}); },
        py::arg("position"), py::arg("value"), py::arg("ids"));
    m.def("pool_workspace_bytes", &pool_workspace_bytes, py::arg("mode"), py::arg("type"), py::arg("dim"),
          py::arg("count"), py::arg("longest"));
    m.def("pool_bags", &pool, py::arg("mode"), py::arg("type"), py::arg("table"), py::arg("rows"),
          py::arg("stride_bytes"), py::arg("dim"), py::arg("ids"), py::arg("count"), py::arg("ids_are_int64"),
          py::arg("offsets"), py::arg("offset_count"), py::arg("offsets_are_int64"), py::arg("bags"), py::arg("width"),
          py::arg("weights"), py::arg("padding_idx"), py::arg("out"), py::arg("winners"), py::arg("workspace"),
          py::arg("faults"), py::arg("stream"));
}

}  // namespace embrow
