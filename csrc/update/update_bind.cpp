// Tensors come as addresses and sizes, as in gather_bind.cpp.
#include "update/update_bind.h"

#include <type_traits>

#include "bind.h"
#include "gather/gather_bind.h"

namespace embrow {
namespace {

namespace py = pybind11;

// A table with its state, between the steps of one optimizer. Whoever calls holds the tensors.
class updated_table {
  public:
    updated_table(update_rule rule, element type, int64_t rows, size_t dim, int64_t step, uintptr_t row_steps,
                  uintptr_t trained)
        : clock_(step, rule != update_rule::adam) {
        if (rows > max_term_rows) throw py::value_error("optimizer: a table of more than 2^32 rows");
        job_ = make_update_job(rule, type, rows, dim, row_steps, trained);
    }
    updated_table(const updated_table&) = delete;
    updated_table& operator=(const updated_table&) = delete;

    void place(const row_address& table, const row_address& first, const row_address& second,
               const row_address& greatest) {
        place_rows(job_, table, first, second, greatest);
    }

    // From now on, and until the next call, in the `step`th step of the optimizer.
    void round_stochastically(uint64_t seed, uint32_t step) { job_.rounding = {true, seed, step}; }

    void step(uintptr_t ids, size_t count, uintptr_t grads, int64_t grad_stride_bytes, double scale, double size,
              double direct, double eps, double beta1, double beta2, double gain, double decay, double shrink,
              int threads) {
        update_job job = now();
        job.ids = ids_of(ids, count, true);
        job.grads = reinterpret_cast<const std::byte*>(grads);
        job.grad_stride_bytes = grad_stride_bytes;
        job.scale = scale;
        job.numbers = {size, direct, eps, beta1, beta2, gain, decay, shrink};
        raise_bad_id(run(count, threads, [&](int allowed) { return update_rows(job, allowed); }), job.rows);
        if (job.row_steps != nullptr) clock_.advance(job.numbers);
    }

    size_t catch_up(uintptr_t ids, size_t count, bool ids_are_int64, int threads) {
        update_job job = now();
        job.ids = ids_of(ids, count, ids_are_int64);
        const caught_up result = run(count, threads, [&](int allowed) { return catch_up_ids(job, allowed); });
        raise_bad_id(result.bad, job.rows);
        return result.rows;
    }

    size_t catch_up_rows(int threads) {
        const auto rows = static_cast<size_t>(job_.rows);
        const size_t behind = run(rows, threads, [&](int allowed) { return catch_up_all(now(), allowed); });
        clock_.restart();
        return behind;
    }

    size_t remembered() const { return clock_.length(); }

  private:
    update_job now() const {
        update_job job = job_;
        if (job.row_steps != nullptr) job.clock = clock_.view();
        return job;
    }

    static id_list ids_of(uintptr_t ids, size_t count, bool are_int64) {
        if (count > max_terms) throw py::value_error("optimizer: a batch of more than 2^32 ids");
        return {reinterpret_cast<const void*>(ids), count, are_int64};
    }

    template <class Work>
    std::invoke_result_t<Work, int> run(size_t count, int threads, const Work& work) {
        if (count * job_.dim * element_bytes(job_.type) < gil_bytes) return work(1);
        const released_gil released;
        return work(threads);
    }

    update_job job_;
    update_clock clock_;
};

}  // namespace

void bind_update(py::module_& m) {
    py::enum_<update_rule>(m, "UpdateRule")
        .value("sgd", update_rule::sgd)
        .value("momentum", update_rule::momentum)
        .value("adagrad", update_rule::adagrad)
        .value("rowwise_adagrad", update_rule::rowwise_adagrad)
        .value("adam", update_rule::adam)
        .value("amsgrad", update_rule::amsgrad);
    py::class_<updated_table>(m, "UpdatedTable")
        .def(py::init<update_rule, element, int64_t, size_t, int64_t, uintptr_t, uintptr_t>(), py::arg("rule"),
             py::arg("type"), py::arg("rows"), py::arg("dim"), py::arg("step"), py::arg("row_steps"),
             py::arg("trained"))
        .def("place", &updated_table::place, py::arg("table"), py::arg("first"), py::arg("second"), py::arg("greatest"))
        .def("round_stochastically", &updated_table::round_stochastically, py::arg("seed"), py::arg("step"))
        .def("step", &updated_table::step, py::arg("ids"), py::arg("count"), py::arg("grads"),
             py::arg("grad_stride_bytes"), py::arg("scale"), py::arg("size"), py::arg("direct"), py::arg("eps"),
             py::arg("beta1"), py::arg("beta2"), py::arg("gain"), py::arg("decay"), py::arg("shrink"),
             py::arg("threads"))
        .def("catch_up", &updated_table::catch_up, py::arg("ids"), py::arg("count"), py::arg("ids_are_int64"),
             py::arg("threads"))
        .def("catch_up_rows", &updated_table::catch_up_rows, py::arg("threads"))
        .def_property_readonly("remembered", &updated_table::remembered);
}

}  // namespace embrow
