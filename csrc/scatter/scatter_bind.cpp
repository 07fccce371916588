// Tensors come as addresses and sizes, as in gather_bind.cpp.
#include "scatter/scatter_bind.h"

#include <stdexcept>

#include "bind.h"
#include "gather/gather_bind.h"

namespace embrow {
namespace {

namespace py = pybind11;

scatter_job make_job(uintptr_t ids, size_t count, bool ids_are_int64, uintptr_t grads, int64_t grad_stride_bytes,
                     uintptr_t out, int64_t rows, size_t dim, element type, int64_t padding_idx, bool mean,
                     table_state state) {
    if (rows > max_term_rows || count > max_terms) {
        throw py::value_error("embedding backward: a table of more than 2^32 rows or a batch of more than 2^32 ids");
    }
    scatter_job job =
        make_scatter_job(ids, count, ids_are_int64, grads, grad_stride_bytes, out, rows, dim, type, padding_idx, mean);
    job.state = state;
    return job;
}

// What is little work is done without handing the GIL over.
template <class Scatter>
std::optional<bad_id> run(const scatter_job& job, int threads, const Scatter& sum) {
    const size_t cleared_rows = job.state == table_state::anything ? static_cast<size_t>(job.rows) : 0;
    if ((job.ids.count + cleared_rows) * job.dim * element_bytes(job.type) < gil_bytes) return sum(1);
    const released_gil released;
    return sum(threads);
}

void scatter(uintptr_t ids, size_t count, bool ids_are_int64, uintptr_t grads, int64_t grad_stride_bytes, uintptr_t out,
             int64_t rows, size_t dim, element type, int64_t padding_idx, bool mean, table_state state, int threads) {
    const scatter_job job =
        make_job(ids, count, ids_are_int64, grads, grad_stride_bytes, out, rows, dim, type, padding_idx, mean, state);
    raise_bad_id(run(job, threads, [&](int allowed) { return scatter_rows(job, allowed); }), rows);
}

void scatter_pooled(uintptr_t ids, size_t count, bool ids_are_int64, uintptr_t offsets, bool offsets_are_int64,
                    size_t bags, size_t width, pooling mode, uintptr_t weights, uintptr_t grads,
                    int64_t grad_stride_bytes, uintptr_t out, int64_t rows, size_t dim, element type,
                    int64_t padding_idx, bool mean, table_state state, int threads) {
    const scatter_job job =
        make_job(ids, count, ids_are_int64, grads, grad_stride_bytes, out, rows, dim, type, padding_idx, mean, state);
    const bag_list which{bags, width, {reinterpret_cast<const void*>(offsets), bags, offsets_are_int64}, count};
    // Autograd does not see changes made through NumPy; where there are no bags there is none to see.
    if (offsets != 0 && bags > 0 && !are_bag_offsets(which.offsets, count, false)) {
        throw std::runtime_error("embedding_bag backward: the offsets were changed after the forward pass");
    }
    const auto bad = run(job, threads, [&](int allowed) {
        return scatter_bags(job, which, mode, reinterpret_cast<const std::byte*>(weights), allowed);
    });
    raise_bad_bag_id(bad, rows);
}

}  // namespace

void bind_scatter(py::module_& m) {
    py::enum_<table_state>(m, "TableState",
                           "What a table holds before gradients are summed into it: anything, zeros, or no page yet.")
        .value("anything", table_state::anything)
        .value("zeros", table_state::zeros)
        .value("untouched", table_state::untouched);
    m.def("scatter_rows", &scatter, py::arg("ids"), py::arg("count"), py::arg("ids_are_int64"), py::arg("grads"),
          py::arg("grad_stride_bytes"), py::arg("out"), py::arg("rows"), py::arg("dim"), py::arg("type"),
          py::arg("padding_idx"), py::arg("mean"), py::arg("state"), py::arg("threads"));
    m.def("scatter_bags", &scatter_pooled, py::arg("ids"), py::arg("count"), py::arg("ids_are_int64"),
          py::arg("offsets"), py::arg("offsets_are_int64"), py::arg("bags"), py::arg("width"), py::arg("mode"),
          py::arg("weights"), py::arg("grads"), py::arg("grad_stride_bytes"), py::arg("out"), py::arg("rows"),
          py::arg("dim"), py::arg("type"), py::arg("padding_idx"), py::arg("mean"), py::arg("state"),
          py::arg("threads"));
}

}  // namespace embrow
