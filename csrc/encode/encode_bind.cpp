// The bindings of encode: encode_padded, encode_ragged.
#include <algorithm>
#include <optional>
#include <string>

#include "bind.h"
#include "encode/check_frame.h"
#include "encode/encode.h"
#include "pad/rectangle.h"
#include "text/python_rows.h"

namespace py = pybind11;

namespace embrow {
namespace {

encode_options options_of(const std::string& tokenizer_name, bool lowercase, int32_t unk_id, int32_t bos_id,
                          int32_t eos_id, int64_t max_length, bool truncate_left) {
    check_frame(bos_id, eos_id, max_length);
    return {text_options_of(tokenizer_name, lowercase), unk_id, bos_id, eos_id, max_length, truncate_left};
}

// What both calls share, as Python passes it.
struct encode_call {
    encode_options options;
    python_rows rows;
    int threads;
    row_fault fault;

    encode_call(py::handle texts, const std::string& tokenizer_name, bool lowercase, std::optional<bool> nulls_empty,
                int32_t unk_id, int32_t bos_id, int32_t eos_id, int64_t max_length, bool truncate_left, int num_threads,
                const std::string& doing, size_t first_row)
        : options(options_of(tokenizer_name, lowercase, unk_id, bos_id, eos_id, max_length, truncate_left)),
          rows(texts, {doing, null_rows_of(nulls_empty), first_row}),
          threads(num_threads) {}

    // What the thread that holds the GIL does while others lay out ids: it lets go of the text, then of the GIL.
    auto dropping_text(std::optional<released_gil>& released) {
        return [&](size_t) {
            rows.drop();
            released.emplace();
        };
    }

    void check() const {
        if (fault) rows.raise(fault.position(), fault.detail());
    }
};

id_pieces ragged_pieces(encode_call& call, const vocab_table& table) {
    id_pieces made;
    call.rows.read_meanwhile([&](const text_rows& rows, task_ref reading) {
        made = encode_ragged(table, rows, call.options, call.threads, call.fault, reading);
    });
    call.check();
    return made;
}

template <class Id>
py::typing::Tuple<py::array, std::optional<py::array_t<int64_t>>> padded(encode_call& call, const vocab_table& table,
                                                                         bool pad_left, int32_t pad_id, size_t multiple,
                                                                         const py::object& out, bool with_lengths) {
    const size_t rows = call.rows.size();
    std::optional<py::array_t<int64_t>> lengths;
    if (with_lengths) lengths.emplace(static_cast<py::ssize_t>(rows));
    int64_t* const length = lengths ? lengths->mutable_data() : nullptr;
    pad_layout<Id> layout{0, static_cast<Id>(pad_id), pad_left};
    if (call.options.max_length >= 0 && pad_id != no_id && !call.rows.picked()) {
        layout.width = round_up(static_cast<size_t>(call.options.max_length), multiple);
        py::array_t<Id> made = rectangle<Id>(out, rows, layout.width, "encode");
        Id* const to = made.mutable_data();
        call.rows.read_meanwhile([&](const text_rows& read, task_ref reading) {
            encode_padded(table, read, call.options, layout, to, length, call.threads, call.fault, reading);
        });
        call.check();
        return py::make_tuple(made, lengths);
    }
    // The width is known only when every row is: ragged first.
    const id_pieces ids = ragged_pieces(call, table);
    const bool fixed = call.options.max_length >= 0;
    layout.width = round_up(fixed ? static_cast<size_t>(call.options.max_length) : ids.longest, multiple);
    if (pad_id == no_id) {
        for (size_t row = 0; row < rows; ++row) {
            if (static_cast<size_t>(ids.lengths[row]) == layout.width) continue;
            throw py::value_error(call.rows.where(row) + " has " + std::to_string(ids.lengths[row]) +
                                  " tokens where the width is " + std::to_string(layout.width) +
                                  ", and the vocabulary has no pad_token; use encode_ragged");
        }
    }
    if (length) std::copy(ids.lengths.begin(), ids.lengths.end(), length);
    py::array_t<Id> made = rectangle<Id>(out, rows, layout.width, "encode");
    Id* const to = made.mutable_data();
    std::optional<released_gil> released;
    pad_pieces(ids, layout, to, call.threads, call.dropping_text(released));
    released.reset();
    return py::make_tuple(made, lengths);
}

template <class Id>
py::typing::Tuple<py::array, py::array_t<int64_t>> ragged(encode_call& call, const vocab_table& table) {
    const id_pieces ids = ragged_pieces(call, table);
    py::array_t<Id> values(static_cast<py::ssize_t>(ids.size()));
    py::array_t<int64_t> offsets(static_cast<py::ssize_t>(ids.lengths.size() + 1));
    Id* const to = values.mutable_data();
    int64_t* const row_offsets = offsets.mutable_data();
    std::optional<released_gil> released;
    join_pieces(ids, to, row_offsets, call.threads, call.dropping_text(released));
    released.reset();
    return py::make_tuple(values, offsets);
}

}  // namespace

void bind_encode(py::module_& m) {
    m.def(
        "encode_padded",
        [](const vocab_table& table, py::handle texts, const std::string& tokenizer_name, bool lowercase,
           std::optional<bool> nulls_empty, int32_t unk_id, int32_t bos_id, int32_t eos_id, int64_t max_length,
           bool truncate_left, bool pad_left, int32_t pad_id, size_t multiple, bool wide, const py::object& out,
           bool lengths, int threads, const std::string& doing, size_t first_row) {
            encode_call call(texts, tokenizer_name, lowercase, nulls_empty, unk_id, bos_id, eos_id, max_length,
                             truncate_left, threads, doing, first_row);
            return wide ? padded<int64_t>(call, table, pad_left, pad_id, multiple, out, lengths)
                        : padded<int32_t>(call, table, pad_left, pad_id, multiple, out, lengths);
        },
        py::arg("table"), py::arg("texts"), py::arg("tokenizer"), py::arg("lowercase"), py::arg("nulls_empty"),
        py::arg("unk_id"), py::arg("bos_id"), py::arg("eos_id"), py::arg("max_length"), py::arg("truncate_left"),
        py::arg("pad_left"), py::arg("pad_id"), py::arg("multiple"), py::arg("wide"), py::arg("out"),
        py::arg("lengths"), py::arg("threads"), py::arg("doing") = "encode", py::arg("first_row") = 0,
        "Ids, shape (rows, width), and lengths if asked for. Ids and max_length are -1 for none.\nErrors begin "
        "with `doing` and count rows from first_row.");
    m.def(
        "encode_ragged",
        [](const vocab_table& table, py::handle texts, const std::string& tokenizer_name, bool lowercase,
           std::optional<bool> nulls_empty, int32_t unk_id, int32_t bos_id, int32_t eos_id, int64_t max_length,
           bool truncate_left, bool wide, int threads, const std::string& doing, size_t first_row) {
            encode_call call(texts, tokenizer_name, lowercase, nulls_empty, unk_id, bos_id, eos_id, max_length,
                             truncate_left, threads, doing, first_row);
            return wide ? ragged<int64_t>(call, table) : ragged<int32_t>(call, table);
        },
        py::arg("table"), py::arg("texts"), py::arg("tokenizer"), py::arg("lowercase"), py::arg("nulls_empty"),
        py::arg("unk_id"), py::arg("bos_id"), py::arg("eos_id"), py::arg("max_length"), py::arg("truncate_left"),
        py::arg("wide"), py::arg("threads"), py::arg("doing") = "encode", py::arg("first_row") = 0,
        "Values and offsets. Ids and max_length are -1 for none.\nErrors begin with `doing` and count rows "
        "from first_row.");
}

}  // namespace embrow
