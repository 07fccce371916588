// Tensors come as addresses and sizes: PyTorch is not linked, and building NumPy views would cost more than small
// batches do. The caller has checked dtypes and shapes and holds the tensors.
#include "gather/gather_bind.h"

#include <limits>

#include "bind.h"
#include "gather/pool.h"

namespace embrow {
namespace {

namespace py = pybind11;

void gather(uintptr_t table, int64_t rows, int64_t stride_bytes, size_t row_bytes, uintptr_t ids, size_t count,
            bool ids_are_int64, uintptr_t out, int threads) {
    const row_table from{reinterpret_cast<const std::byte*>(table), rows, stride_bytes, row_bytes};
    const id_list which{reinterpret_cast<const void*>(ids), count, ids_are_int64};
    auto* to = reinterpret_cast<std::byte*>(out);
    std::optional<bad_id> bad;
    if (count * row_bytes < gil_bytes) {
        bad = gather_rows(from, which, to, 1);
    } else {
        const released_gil released;
        bad = gather_rows(from, which, to, threads);
    }
    raise_bad_id(bad, rows);
}

void check_ids(uintptr_t ids, size_t count, bool ids_are_int64, int64_t rows) {
    raise_bad_id(find_bad_id({reinterpret_cast<const void*>(ids), count, ids_are_int64}, rows), rows);
}

void pool(pooling mode, element type, uintptr_t table, int64_t rows, int64_t stride_bytes, size_t dim, uintptr_t ids,
          size_t count, bool ids_are_int64, uintptr_t offsets, bool offsets_are_int64, size_t bags, size_t width,
          uintptr_t weights, int64_t padding_idx, uintptr_t out, uintptr_t winners, int threads) {
    const pool_job job{
        .mode = mode,
        .type = type,
        .table = {reinterpret_cast<const std::byte*>(table), rows, stride_bytes, dim * element_bytes(type)},
        .ids = {reinterpret_cast<const void*>(ids), count, ids_are_int64},
        .bags = {bags, width, {reinterpret_cast<const void*>(offsets), bags, offsets_are_int64}, count},
        .weights = reinterpret_cast<const std::byte*>(weights),
        .padding_idx = padding_idx,
        .out = reinterpret_cast<std::byte*>(out),
        .winners = reinterpret_cast<int64_t*>(winners)};
    if (mode == pooling::max && count > std::numeric_limits<int32_t>::max()) {
        throw py::value_error("embedding_bag: maxima of a batch of more than 2^31 ids");
    }
    std::optional<bad_id> bad;
    if (count * job.table.row_bytes < gil_bytes) {
        bad = pool_bags(job, 1);
    } else {
        const released_gil released;
        bad = pool_bags(job, threads);
    }
    raise_bad_bag_id(bad, rows);
}

void check_bag_ids(uintptr_t ids, size_t count, bool ids_are_int64, int64_t rows) {
    raise_bad_bag_id(find_bad_id({reinterpret_cast<const void*>(ids), count, ids_are_int64}, rows), rows);
}

}  // namespace

void bind_gather(py::module_& m) {
    m.def("gather_rows", &gather, py::arg("table"), py::arg("rows"), py::arg("stride_bytes"), py::arg("row_bytes"),
          py::arg("ids"), py::arg("count"), py::arg("ids_are_int64"), py::arg("out"), py::arg("threads"));
    py::enum_<element>(m, "Element")
        .value("float32", element::float32)
        .value("float64", element::float64)
        .value("bfloat16", element::bfloat16)
        .value("float16", element::float16);
    py::enum_<pooling>(m, "Pooling").value("sum", pooling::sum).value("mean", pooling::mean).value("max", pooling::max);
    m.def("pool_bags", &pool, py::arg("mode"), py::arg("type"), py::arg("table"), py::arg("rows"),
          py::arg("stride_bytes"), py::arg("dim"), py::arg("ids"), py::arg("count"), py::arg("ids_are_int64"),
          py::arg("offsets"), py::arg("offsets_are_int64"), py::arg("bags"), py::arg("width"), py::arg("weights"),
          py::arg("padding_idx"), py::arg("out"), py::arg("winners"), py::arg("threads"));
    m.def(
        "are_bag_offsets",
        [](uintptr_t offsets, size_t count, bool offsets_are_int64, size_t ids, bool with_end) {
            return are_bag_offsets({reinterpret_cast<const void*>(offsets), count, offsets_are_int64}, ids, with_end);
        },
        py::arg("offsets"), py::arg("count"), py::arg("offsets_are_int64"), py::arg("ids"), py::arg("with_end"));
    m.def("check_ids", &check_ids, py::arg("ids"), py::arg("count"), py::arg("ids_are_int64"), py::arg("rows"));
    m.def("check_bag_ids", &check_bag_ids, py::arg("ids"), py::arg("count"), py::arg("ids_are_int64"), py::arg("rows"));
}

}  // namespace embrow
