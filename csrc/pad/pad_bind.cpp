// The bindings of pad: pad_ragged, and ragged_from_rows, which makes its input of Python rows.
#include <algorithm>
#include <string>
#include <vector>

#include "bind.h"
#include "pad/pad.h"
#include "pad/rectangle.h"

namespace py = pybind11;

namespace embrow {
namespace {

[[noreturn]] void refuse_beyond(const char* type, size_t row, int64_t at, const std::string& value) {
    throw py::value_error("pad_sequences: row " + std::to_string(row) + " has a value beyond " + type +
                          " at position " + std::to_string(at) + ": " + value);
}

// Raises for the first value of rows, whose offsets are right, that does not fit int32.
void check_narrow(const int64_t* values, const int64_t* offsets, size_t rows) {
    const int64_t* const end = values + offsets[rows];
    const int64_t* beyond = nullptr;
    {
        const released_gil released;
        beyond = std::find_if(values, end, [](int64_t id) { return id != static_cast<int32_t>(id); });
    }
    if (beyond == end) return;
    const int64_t at = beyond - values;
    const auto row = static_cast<size_t>(std::upper_bound(offsets, offsets + rows, at) - offsets) - 1;
    refuse_beyond("int32", row, at - offsets[row], std::to_string(*beyond));
}

template <class Id, class From>
py::typing::Tuple<py::array, py::array_t<int64_t>> pad_as(const py::array& values,
                                                          const py::array_t<int64_t, py::array::c_style>& offsets,
                                                          int64_t max_length, bool pad_left, bool truncate_left,
                                                          int64_t value, size_t multiple, const py::object& out,
                                                          int threads) {
    const auto from = values.cast<py::array_t<From, py::array::c_style>>();
    const int64_t* const bounds = offsets.data();
    const auto rows = static_cast<size_t>(offsets.size()) - 1;
    py::array_t<int64_t> lengths(static_cast<py::ssize_t>(rows));
    int64_t* const length = lengths.mutable_data();
    const int64_t* const fall = std::is_sorted_until(bounds, bounds + rows + 1);
    if (fall != bounds + rows + 1) {
        throw py::value_error("pad_sequences: offsets decrease from " + std::to_string(fall[-1]) + " to " +
                              std::to_string(*fall) + " at position " + std::to_string(fall - bounds));
    }
    if (bounds[0] != 0 || bounds[rows] != from.size()) {
        throw py::value_error("pad_sequences: offsets run from " + std::to_string(bounds[0]) + " to " +
                              std::to_string(bounds[rows]) + "; there are " + std::to_string(from.size()) + " values");
    }
    int64_t longest = 0;
    for (size_t row = 0; row < rows; ++row) longest = std::max(longest, bounds[row + 1] - bounds[row]);
    const size_t kept = max_length >= 0 ? static_cast<size_t>(max_length) : static_cast<size_t>(longest);
    const pad_layout<Id> layout{round_up(kept, multiple), static_cast<Id>(value), pad_left};
    py::array_t<Id> made = rectangle<Id>(out, rows, layout.width, "pad_sequences");
    Id* const to = made.mutable_data();
    const From* const ids = from.data();
    if constexpr (sizeof(Id) < sizeof(From)) check_narrow(ids, bounds, rows);
    {
        const released_gil released;
        pad_rows(ids, bounds, rows, layout, kept, truncate_left, to, threads);
        for (size_t row = 0; row < rows; ++row) {
            length[row] = std::min(bounds[row + 1] - bounds[row], static_cast<int64_t>(kept));
        }
    }
    return py::make_tuple(made, lengths);
}

py::typing::Tuple<py::array, py::array_t<int64_t>> pad_ragged(const py::array& values,
                                                              const py::array_t<int64_t, py::array::c_style>& offsets,
                                                              int64_t max_length, bool pad_left, bool truncate_left,
                                                              int64_t value, size_t multiple, bool wide,
                                                              const py::object& out, int threads) {
    if (values.ndim() != 1 || offsets.ndim() != 1 || offsets.size() < 1) {
        throw py::value_error("pad_sequences: values and offsets have one dimension, and there is one offset or more");
    }
    const bool from_wide = values.itemsize() == 8;
    auto* const pad = wide ? (from_wide ? pad_as<int64_t, int64_t> : pad_as<int64_t, int32_t>)
                           : (from_wide ? pad_as<int32_t, int64_t> : pad_as<int32_t, int32_t>);
    return pad(values, offsets, max_length, pad_left, truncate_left, value, multiple, out, threads);
}

[[noreturn]] void refuse(size_t row, const std::string& found) {
    throw py::type_error("pad_sequences: row " + std::to_string(row) + " " + found + "; rows are sequences of int");
}

py::array array_from(PyObject* item, size_t row) {
    try {
        return py::array(py::reinterpret_borrow<py::object>(item));
    } catch (const py::error_already_set& error) {
        if (!error.matches(PyExc_TypeError) && !error.matches(PyExc_ValueError)) throw;
    }
    refuse(row, "is " + type_name(item));
}

// Raises for the first value of a row, an array, that is masked.
void check_unmasked(py::handle array, size_t row) {
    if (!is_masked_array(array)) return;
    const py::array_t<bool, py::array::c_style> mask = py::module_::import("numpy.ma").attr("getmaskarray")(array);
    const bool* const end = mask.data() + mask.size();
    const bool* const masked = std::find(mask.data(), end, true);
    if (masked != end) refuse(row, "is masked at position " + std::to_string(masked - mask.data()));
}

int64_t id_of(PyObject* item, size_t row, Py_ssize_t at) {
    const auto index = py::reinterpret_steal<py::object>(PyNumber_Index(item));
    if (!index) {
        // Whatever else the item itself raises is the caller's.
        if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw py::error_already_set();
        PyErr_Clear();
        refuse(row, "has " + type_name(item) + " at position " + std::to_string(at));
    }
    int overflow = 0;
    const long long id = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
    if (overflow) {
        // Python writes no int of thousands of digits in decimal.
        const auto hex = py::reinterpret_steal<py::str>(PyNumber_ToBase(index.ptr(), 16));
        refuse_beyond("int64", row, at, std::string(hex).substr(0, 40));
    }
    return id;
}

void append_ints(PyObject* list, size_t row, std::vector<int64_t>& values) {
    // An item's __index__ may run anything, also what changes the list.
    for (Py_ssize_t at = 0; at < PySequence_Fast_GET_SIZE(list); ++at) {
        PyObject* const id = PySequence_Fast_GET_ITEM(list, at);
        // An int below 2**30 is one digit of CPython's; the general way costs several times as much.
        int overflow = 0;
        if (PyLong_CheckExact(id)) {
            const long long found = PyLong_AsLongLongAndOverflow(id, &overflow);
            if (!overflow) {
                values.push_back(found);
                continue;
            }
        }
        const auto held = py::reinterpret_borrow<py::object>(id);
        values.push_back(id_of(held.ptr(), row, at));
    }
}

void append_array(PyObject* item, size_t row, std::vector<int64_t>& values) {
    const py::array array = array_from(item, row);
    const char kind = array.dtype().kind();
    if (array.ndim() != 1 || !(kind == 'i' || kind == 'u' || (array.size() == 0 && kind == 'f'))) {
        refuse(row, "is " + type_name(item) + " of dtype " + std::string(py::str(array.attr("dtype"))) + " with " +
                        std::to_string(array.ndim()) + " dimensions");
    }
    check_unmasked(array, row);
    const auto ids = py::array_t<int64_t, py::array::c_style | py::array::forcecast>::ensure(array);
    if (!ids) throw py::error_already_set();
    if (kind == 'u' && array.itemsize() == 8) {
        const int64_t* const end = ids.data() + ids.size();
        const int64_t* const beyond = std::find_if(ids.data(), end, [](int64_t id) { return id < 0; });
        if (beyond != end) {
            refuse_beyond("int64", row, beyond - ids.data(), std::to_string(static_cast<uint64_t>(*beyond)));
        }
    }
    values.insert(values.end(), ids.data(), ids.data() + ids.size());
}

py::typing::Tuple<py::array_t<int64_t>, py::array_t<int64_t>> ragged_from_rows(const py::object& sequences) {
    const auto rows = py::reinterpret_steal<py::object>(PySequence_Tuple(sequences.ptr()));
    if (!rows) throw py::error_already_set();
    const auto count = static_cast<size_t>(PyTuple_GET_SIZE(rows.ptr()));
    std::vector<int64_t> values;
    std::vector<int64_t> offsets{0};
    offsets.reserve(count + 1);
    for (size_t row = 0; row < count; ++row) {
        PyObject* const item = PyTuple_GET_ITEM(rows.ptr(), static_cast<Py_ssize_t>(row));
        if (PyList_Check(item) || PyTuple_Check(item)) {
            append_ints(item, row, values);
        } else {
            append_array(item, row, values);
        }
        offsets.push_back(static_cast<int64_t>(values.size()));
    }
    return py::make_tuple(array_of(std::move(values)), array_of(std::move(offsets)));
}

}  // namespace

void bind_pad(py::module_& m) {
    m.def("pad_ragged", &pad_ragged, py::arg("values"), py::arg("offsets"), py::arg("max_length"), py::arg("pad_left"),
          py::arg("truncate_left"), py::arg("value"), py::arg("multiple"), py::arg("wide"), py::arg("out"),
          py::arg("threads"), "Ids, shape (rows, width), and the lengths kept. max_length is -1 for none.");
    m.def("ragged_from_rows", &ragged_from_rows, py::arg("sequences"), "Values and offsets of ragged rows of int.");
}

}  // namespace embrow
