// Tensors come as addresses and sizes, as in gather_bind.cpp.
#include "scatter/scatter.h"

#include "bind.h"

namespace embrow {
namespace {

namespace py = pybind11;

constexpr size_t gil_bytes = 64 << 10;

void scatter(uintptr_t ids, size_t count, bool ids_are_int64, uintptr_t grads, int64_t grad_stride_bytes, uintptr_t out,
             int64_t rows, size_t dim, element type, int64_t padding_idx, bool mean, bool untouched, int threads) {
    const scatter_job job{.ids = {reinterpret_cast<const void*>(ids), count, ids_are_int64},
                          .grads = reinterpret_cast<const std::byte*>(grads),
                          .grad_stride_bytes = grad_stride_bytes,
                          .out = reinterpret_cast<std::byte*>(out),
                          .rows = rows,
                          .dim = dim,
                          .type = type,
                          .padding_idx = padding_idx,
                          .mean = mean,
                          .untouched = untouched};
    if (rows > max_term_rows || count > max_terms) {
        throw py::value_error("embedding backward: a table of more than 2^32 rows or a batch of more than 2^32 ids");
    }
    std::optional<bad_id> bad;
    if (count * dim * element_bytes(type) < gil_bytes) {
        bad = scatter_rows(job, 1);
    } else {
        const py::gil_scoped_release released;
        bad = scatter_rows(job, threads);
    }
    if (bad) throw py::index_error(bad_id_message(*bad, rows));
}

}  // namespace

void bind_scatter(py::module_& m) {
    py::enum_<element>(m, "Element")
        .value("float32", element::float32)
        .value("float64", element::float64)
        .value("bfloat16", element::bfloat16)
        .value("float16", element::float16);
    m.def("scatter_rows", &scatter, py::arg("ids"), py::arg("count"), py::arg("ids_are_int64"), py::arg("grads"),
          py::arg("grad_stride_bytes"), py::arg("out"), py::arg("rows"), py::arg("dim"), py::arg("type"),
          py::arg("padding_idx"), py::arg("mean"), py::arg("untouched"), py::arg("threads"));
}

}  // namespace embrow
