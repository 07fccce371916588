// Tensors come as addresses and sizes; see bind_cuda.h.
#include "bind_cuda.h"
#include "update/update_bind.h"
#include "update/update_cuda.h"

namespace embrow {
namespace {

namespace py = pybind11;

// A table with its state, between the steps of one optimizer, all of whose launches go to one stream. Whoever calls
// holds the tensors.
class updated_cuda_table {
  public:
    updated_cuda_table(update_rule rule, element type, int64_t rows, size_t dim, int64_t step, uintptr_t row_steps,
                       uintptr_t trained, uintptr_t clock, size_t clock_steps)
        : steps_(reinterpret_cast<clock_step*>(clock)), room_(clock_steps) {
        below_limit("optimizer", static_cast<size_t>(rows), "rows of the table");
        if (rule == update_rule::rowwise_adagrad && row_steps != 0) {
            throw py::value_error("optimizer: rows of rowwise_adagrad cannot catch up");
        }
        job_ = make_update_job(rule, type, rows, dim, row_steps, trained);
        job_.clock.base = step;
        job_.clock.keeps_greatest = rule != update_rule::adam;
        if (row_steps != 0) job_.clock.steps = steps_;
    }
    updated_cuda_table(const updated_cuda_table&) = delete;
    updated_cuda_table& operator=(const updated_cuda_table&) = delete;

    void place(const row_address& table, const row_address& first, const row_address& second,
               const row_address& greatest) {
        place_rows(job_, table, first, second, greatest);
    }

    // From now on, and until the next call, in the `step`th step of the optimizer.
    void round_stochastically(uint64_t seed, uint32_t step) { job_.rounding = {true, seed, step}; }

    size_t workspace_bytes(size_t count) const {
        return update_workspace_bytes(job_.type, job_.rows, job_.dim, below_limit("optimizer", count, "ids"));
    }

    // The clock goes on even if a bad id keeps the rows from being written.
    void step(uintptr_t ids, size_t count, uintptr_t grads, int64_t grad_stride_bytes, double scale, double size,
              double direct, double eps, double beta1, double beta2, double gain, double decay, double shrink,
              uintptr_t workspace, uintptr_t fault, uintptr_t stream) {
        const bool has_clock = job_.row_steps != nullptr;
        if (has_clock && remembered() == room_) {
            throw py::value_error("optimizer: the history has room for " + std::to_string(room_) +
                                  " steps and is full; call catch_up_rows");
        }
        update_job job = with_ids(ids, count, true);
        job.grads = reinterpret_cast<const std::byte*>(grads);
        job.grad_stride_bytes = grad_stride_bytes;
        job.scale = scale;
        job.numbers = {size, direct, eps, beta1, beta2, gain, decay, shrink};
        clock_view& clock = job_.clock;
        clock.stepwise = clock.stepwise || !has_sums(job.numbers, clock.keeps_greatest);
        const released_gil released;
        update_rows_cuda(job, reinterpret_cast<std::byte*>(workspace), fault_at(fault), stream_at(stream));
        if (!has_clock) return;
        advance_clock_cuda(clock, steps_, job.numbers, stream_at(stream));
        ++clock.last;
    }

    // Whether any row may have been behind.
    bool catch_up(uintptr_t ids, size_t count, bool ids_are_int64, uintptr_t workspace, uintptr_t fault,
                  uintptr_t stream) {
        const update_job job = with_ids(ids, count, ids_are_int64);
        const released_gil released;
        catch_up_ids_cuda(job, reinterpret_cast<std::byte*>(workspace), fault_at(fault), stream_at(stream));
        return remembered() > 0;
    }

    bool catch_up_rows(uintptr_t stream) {
        const released_gil released;
        if (remembered() == 0) return false;
        catch_up_all_cuda(job_, stream_at(stream));
        job_.clock.base = job_.clock.step();
        job_.clock.last = 0;
        job_.clock.stepwise = false;
        return true;
    }

    size_t remembered() const { return job_.clock.last; }

  private:
    update_job with_ids(uintptr_t ids, size_t count, bool are_int64) const {
        update_job job = job_;
        job.ids = {reinterpret_cast<const void*>(ids), below_limit("optimizer", count, "ids"), are_int64};
        return job;
    }

    update_job job_;
    clock_step* steps_;
    size_t room_;
};

}  // namespace

void bind_update_cuda(py::module_& m) {
    py::module_::import("embrow._core");  // has UpdateRule and Element
    m.def("clock_bytes", [](size_t steps) { return (steps + 1) * sizeof(clock_step); }, py::arg("steps"));
    py::class_<updated_cuda_table>(m, "UpdatedTable")
        .def(py::init<update_rule, element, int64_t, size_t, int64_t, uintptr_t, uintptr_t, uintptr_t, size_t>(),
             py::arg("rule"), py::arg("type"), py::arg("rows"), py::arg("dim"), py::arg("step"), py::arg("row_steps"),
             py::arg("trained"), py::arg("clock"), py::arg("clock_steps"))
        .def("place", &updated_cuda_table::place, py::arg("table"), py::arg("first"), py::arg("second"),
             py::arg("greatest"))
        .def("round_stochastically", &updated_cuda_table::round_stochastically, py::arg("seed"), py::arg("step"))
        .def("workspace_bytes", &updated_cuda_table::workspace_bytes, py::arg("count"))
        .def("step", &updated_cuda_table::step, py::arg("ids"), py::arg("count"), py::arg("grads"),
             py::arg("grad_stride_bytes"), py::arg("scale"), py::arg("size"), py::arg("direct"), py::arg("eps"),
             py::arg("beta1"), py::arg("beta2"), py::arg("gain"), py::arg("decay"), py::arg("shrink"),
             py::arg("workspace"), py::arg("fault"), py::arg("stream"))
        .def("catch_up", &updated_cuda_table::catch_up, py::arg("ids"), py::arg("count"), py::arg("ids_are_int64"),
             py::arg("workspace"), py::arg("fault"), py::arg("stream"))
        .def("catch_up_rows", &updated_cuda_table::catch_up_rows, py::arg("stream"))
        .def_property_readonly("remembered", &updated_cuda_table::remembered);
}

}  // namespace embrow
