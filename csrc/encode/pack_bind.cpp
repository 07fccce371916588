// The bindings of packing: PackedRows.
#include <algorithm>
#include <string>

#include "bind.h"
#include "encode/pack.h"
#include "text/python_rows.h"

namespace py = pybind11;

namespace embrow {
namespace {

// Rows that are measured first, so that the caller can say where they are to be packed.
class packed_rows {
  public:
    packed_rows(py::handle texts, bool nulls_empty, int threads)
        : rows_(texts, {doing, null_rows_of(nulls_empty)}), threads_(threads) {
        rows_.read([&](const text_rows& rows) {
            tokenized_ = rows.tokenized();
            if (!tokenized_) offsets_ = packed_offsets(rows, threads_);
        });
    }

    bool tokenized() const noexcept { return tokenized_; }
    int64_t bytes() const noexcept { return offsets_.back(); }
    size_t size() const noexcept { return offsets_.size() - 1; }

    void write(uintptr_t offsets, uintptr_t text) {
        row_fault fault;
        bool unchanged = true;
        rows_.read([&](const text_rows& rows) {
            unchanged = pack_rows(rows, offsets_, reinterpret_cast<char*>(text), threads_, fault);
        });
        if (fault) rows_.raise(fault.position(), fault.detail());
        if (!unchanged) throw std::runtime_error(std::string(doing) + ": the text changed while it was read");
        std::copy(offsets_.begin(), offsets_.end(), reinterpret_cast<int64_t*>(offsets));
        rows_.drop();
    }

    void raise_unknown(int64_t row, int64_t token, const std::string& text) const {
        rows_.raise(row, {text_fault::kind::unknown_token, token, text});
    }

  private:
    static constexpr const char* doing = "encode";

    python_rows rows_;
    int threads_;
    bool tokenized_ = false;
    std::vector<int64_t> offsets_{0};
};

}  // namespace

void bind_pack(py::module_& m) {
    py::class_<packed_rows>(m, "PackedRows", "Rows of text, to be packed: encode/pack.h.")
        .def(py::init<py::handle, bool, int>(), py::arg("texts"), py::arg("nulls_empty"), py::arg("threads"))
        .def_property_readonly("tokenized", &packed_rows::tokenized, "Whether rows are lists of tokens, not packed.")
        .def_property_readonly("bytes", &packed_rows::bytes)
        .def("__len__", &packed_rows::size)
        .def("write", &packed_rows::write, py::arg("offsets"), py::arg("text"),
             "Packs the text, and writes where each row begins and the last ends, once.")
        .def("raise_unknown", &packed_rows::raise_unknown, py::arg("row"), py::arg("token"), py::arg("text"));
}

}  // namespace embrow
