#include "bind_cuda.h"
#include "scatter/scatter_bind.h"
#include "scatter/scatter_cuda.h"

namespace embrow {
namespace {

namespace py = pybind11;

void check(const scatter_job& job, addition how) {
    below_limit("embedding backward", static_cast<size_t>(job.rows), "rows of the table");
    below_limit("embedding backward", job.ids.count, "ids");
    if (how == addition::atomic && element_bytes(job.type) < sizeof(float)) {
        throw py::value_error(
            "embedding backward: atomic addition would round 16-bit sums at every step; add in order, or in float32");
    }
}

addition addition_of(bool atomic) {
    return atomic ? addition::atomic : addition::ordered;
}

// Sizes alone decide.
scatter_job sized_job(size_t count, int64_t rows, size_t dim, element type) {
    return make_scatter_job(0, count, true, 0, 0, 0, rows, dim, type, -1, false);
}

size_t rows_bytes(size_t count, int64_t rows, size_t dim, element type, bool atomic) {
    const scatter_job job = sized_job(count, rows, dim, type);
    check(job, addition_of(atomic));
    return scatter_rows_bytes(job, addition_of(atomic));
}

size_t bags_bytes(size_t count, size_t bags, int64_t rows, size_t dim, element type, bool atomic) {
    const scatter_job job = sized_job(count, rows, dim, type);
    check(job, addition_of(atomic));
    return scatter_bags_bytes(job, bags, addition_of(atomic));
}

void scatter(uintptr_t ids, size_t count, bool ids_are_int64, uintptr_t grads, int64_t grad_stride_bytes, uintptr_t out,
             int64_t rows, size_t dim, element type, int64_t padding_idx, bool mean, bool atomic, uintptr_t workspace,
             uintptr_t fault, uintptr_t stream) {
    const scatter_job job =
        make_scatter_job(ids, count, ids_are_int64, grads, grad_stride_bytes, out, rows, dim, type, padding_idx, mean);
    check(job, addition_of(atomic));
    const released_gil released;
    scatter_rows_cuda(job, addition_of(atomic), reinterpret_cast<std::byte*>(workspace), fault_at(fault),
                      stream_at(stream));
}

void scatter_pooled(uintptr_t ids, size_t count, bool ids_are_int64, uintptr_t offsets, bool offsets_are_int64,
                    size_t bags, size_t width, pooling mode, uintptr_t weights, uintptr_t grads,
                    int64_t grad_stride_bytes, uintptr_t out, int64_t rows, size_t dim, element type,
                    int64_t padding_idx, bool mean, bool atomic, uintptr_t workspace, uintptr_t fault,
                    uintptr_t stream) {
    const scatter_job job =
        make_scatter_job(ids, count, ids_are_int64, grads, grad_stride_bytes, out, rows, dim, type, padding_idx, mean);
    check(job, addition_of(atomic));
    const bag_list which{bags, width, {reinterpret_cast<const void*>(offsets), bags, offsets_are_int64}, count};
    const released_gil released;
    scatter_bags_cuda(job, which, mode, reinterpret_cast<const std::byte*>(weights), addition_of(atomic),
                      reinterpret_cast<std::byte*>(workspace), fault_at(fault), stream_at(stream));
}

}  // namespace

void bind_scatter_cuda(py::module_& m) {
    py::module_::import("embrow._core");  // has Pooling and Element
    m.def("scatter_rows_bytes", &rows_bytes, py::arg("count"), py::arg("rows"), py::arg("dim"), py::arg("type"),
          py::arg("atomic"));
    m.def("scatter_bags_bytes", &bags_bytes, py::arg("count"), py::arg("bags"), py::arg("rows"), py::arg("dim"),
          py::arg("type"), py::arg("atomic"));
    m.def("scatter_rows", &scatter, py::arg("ids"), py::arg("count"), py::arg("ids_are_int64"), py::arg("grads"),
          py::arg("grad_stride_bytes"), py::arg("out"), py::arg("rows"), py::arg("dim"), py::arg("type"),
          py::arg("padding_idx"), py::arg("mean"), py::arg("atomic"), py::arg("workspace"), py::arg("fault"),
          py::arg("stream"));
    m.def("scatter_bags", &scatter_pooled, py::arg("ids"), py::arg("count"), py::arg("ids_are_int64"),
          py::arg("offsets"), py::arg("offsets_are_int64"), py::arg("bags"), py::arg("width"), py::arg("mode"),
          py::arg("weights"), py::arg("grads"), py::arg("grad_stride_bytes"), py::arg("out"), py::arg("rows"),
          py::arg("dim"), py::arg("type"), py::arg("padding_idx"), py::arg("mean"), py::arg("atomic"),
          py::arg("workspace"), py::arg("fault"), py::arg("stream"));
}

}  // namespace embrow
