// Tensors come as addresses and sizes: PyTorch is not linked, and building NumPy views would cost more than small
// batches do. The caller has checked dtypes and shapes and holds the tensors.
#include "gather/gather.h"

#include "bind.h"

namespace embrow {
namespace {

namespace py = pybind11;

// Below this other Python threads wait no longer than handing the GIL over would take.
constexpr size_t gil_bytes = 64 << 10;

void raise_bad_id(const std::optional<bad_id>& bad, int64_t rows) {
    if (bad) throw py::index_error(bad_id_message(*bad, rows));
}

void gather(uintptr_t table, int64_t rows, int64_t stride_bytes, size_t row_bytes, uintptr_t ids, size_t count,
            bool ids_are_int64, uintptr_t out, int threads) {
    const row_table from{reinterpret_cast<const std::byte*>(table), rows, stride_bytes, row_bytes};
    const id_list which{reinterpret_cast<const void*>(ids), count, ids_are_int64};
    auto* to = reinterpret_cast<std::byte*>(out);
    std::optional<bad_id> bad;
    if (count * row_bytes < gil_bytes) {
        bad = gather_rows(from, which, to, 1);
    } else {
        const py::gil_scoped_release released;
        bad = gather_rows(from, which, to, threads);
    }
    raise_bad_id(bad, rows);
}

void check_ids(uintptr_t ids, size_t count, bool ids_are_int64, int64_t rows) {
    raise_bad_id(find_bad_id({reinterpret_cast<const void*>(ids), count, ids_are_int64}, rows), rows);
}

}  // namespace

void bind_gather(py::module_& m) {
    m.def("gather_rows", &gather, py::arg("table"), py::arg("rows"), py::arg("stride_bytes"), py::arg("row_bytes"),
          py::arg("ids"), py::arg("count"), py::arg("ids_are_int64"), py::arg("out"), py::arg("threads"));
    m.def("check_ids", &check_ids, py::arg("ids"), py::arg("count"), py::arg("ids_are_int64"), py::arg("rows"));
}

}  // namespace embrow
