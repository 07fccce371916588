#include "text/python_rows.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "bind.h"
#include "common/hash.h"

namespace py = pybind11;

namespace embrow {
namespace {

// A str's or bytes' own storage; false for any other object.
bool borrow(PyObject* value, text_row& row) {
    if (PyUnicode_Check(value)) {
        const encoding stored = PyUnicode_IS_ASCII(value)                       ? encoding::utf8
                                : PyUnicode_KIND(value) == PyUnicode_1BYTE_KIND ? encoding::latin1
                                : PyUnicode_KIND(value) == PyUnicode_2BYTE_KIND ? encoding::ucs2
                                                                                : encoding::ucs4;
        row = {PyUnicode_DATA(value), static_cast<size_t>(PyUnicode_GET_LENGTH(value)), stored};
        return true;
    }
    if (PyBytes_Check(value)) {
        row = {PyBytes_AS_STRING(value), static_cast<size_t>(PyBytes_GET_SIZE(value)), encoding::unchecked_utf8};
        return true;
    }
    return false;
}

bool is_token_list(PyObject* value) {
    return PyList_Check(value) || PyTuple_Check(value);
}

// Rows that are lists of tokens: their tokens one after another.
void read_token_lists(PyObject* const* items, size_t count, const text_rules& rules, borrowed_text& text) {
    text.rows.offsets.reserve(count + 1);
    text.rows.offsets.push_back(0);
    for (size_t row = 0; row < count; ++row) {
        if (items[row] == Py_None) {
            if (!rules.take_nulls()) rules.refuse_null(row);
        } else if (!is_token_list(items[row])) {
            rules.refuse_type(row, items[row]);
        } else {
            const Py_ssize_t tokens = PySequence_Fast_GET_SIZE(items[row]);
            for (Py_ssize_t i = 0; i < tokens; ++i) {
                PyObject* const token = PySequence_Fast_GET_ITEM(items[row], i);
                text_row found;
                if (!borrow(token, found)) {
                    throw py::type_error(rules.where(row) + ", token " + std::to_string(i) + " is " + type_name(token) +
                                         "; tokens are str or bytes");
                }
                text.references.push_back(token);
                Py_INCREF(token);
                text.rows.rows.push_back(found);
            }
        }
        text.rows.offsets.push_back(static_cast<int64_t>(text.rows.rows.size()));
    }
}

}  // namespace

text_options text_options_of(const std::string& tokenizer_name, bool lowercase) {
    if (tokenizer_name == "whitespace") return {tokenizer::whitespace, lowercase};
    if (tokenizer_name == "words") return {tokenizer::words, lowercase};
    throw py::value_error("tokenizer is \"" + tokenizer_name +
                          "\"; choose \"whitespace\", \"words\" or a callable from str to a list of str");
}

std::string shown_token(std::string_view token) {
    const auto size = static_cast<Py_ssize_t>(std::min(token.size(), shown_token_bytes));
    Py_ssize_t used = 0;  // all but the beginning of a character
    return py::repr(py::reinterpret_steal<py::str>(PyUnicode_DecodeUTF8Stateful(token.data(), size, "replace", &used)));
}

void borrowed_text::drop_references() noexcept {
    constexpr size_t ahead = 16;
    // Moved away first: what an object's end runs may come back here.
    const auto dropped = std::exchange(references, {});
    for (size_t i = 0; i < dropped.size(); ++i) {
        if (i + ahead < dropped.size()) __builtin_prefetch(dropped[i + ahead], 1);
        Py_DECREF(dropped[i]);
    }
}

std::string text_rules::where(size_t row) const {
    return doing + (are_tokens ? ": token " : ": row ") + std::to_string(first_row + row);
}

void text_rules::refuse_null(size_t row) const {
    const char* cure = are_tokens                    ? ""
                       : nulls == null_rows::refused ? "; drop it or give \"\""
                                                     : "; drop it or pass nulls=\"empty\"";
    throw py::type_error(where(row) + " is None" + cure);
}

void text_rules::refuse_type(size_t row, py::handle found) const {
    throw py::type_error(
        where(row) + " is " + type_name(found) +
        (are_tokens ? "; tokens are str or bytes" : "; rows are str, bytes or lists of them, of one kind"));
}

void read_objects(const py::object& sequence, const text_rules& rules, borrowed_text& text) {
    PyObject* const* const items = PySequence_Fast_ITEMS(sequence.ptr());
    const auto count = static_cast<size_t>(PySequence_Fast_GET_SIZE(sequence.ptr()));
    size_t first = 0;
    while (first < count && items[first] == Py_None) ++first;
    if (first < count && is_token_list(items[first])) {
        if (rules.are_tokens) rules.refuse_type(first, items[first]);
        read_token_lists(items, count, rules, text);
        return;
    }
    text.unread = sequence;
    text.rows.rows.resize(count);
    text.references.reserve(count);
}

void python_rows::expect_items() {
    constexpr size_t few = 256;
    constexpr size_t most_bytes = size_t{1} << 16;  // that one row of the sample counts for
    const size_t count = text_.rows.size();
    if (count <= few) {
        check(read_items());
        return;
    }
    // One of each stretch of rows, now from its beginning and now from its end: what is written in turn, as titles and
    // bodies, must not all be of one kind.
    PyObject* const* const items = PySequence_Fast_ITEMS(text_.unread.ptr());
    size_t bytes = 0;
    for (size_t i = 0; i < few; ++i) {
        const size_t begin = i * count / few;
        const size_t stretch = (i + 1) * count / few - begin;
        text_row row = text_row();
        borrow(items[begin + fold(i + 1, 0x9E3779B97F4A7C15) % stretch], row);
        bytes += std::min(row.units(), most_bytes);
    }
    text_.progress.expected_bytes = bytes / few;
    text_.rows.progress = &text_.progress;
}

std::optional<refused_item> python_rows::read_items() noexcept {
    constexpr size_t ahead = 16;
    constexpr size_t step = 256;        // rows that are told of at once
    constexpr size_t wake_step = 4096;  // rows after which those who sleep are woken
    const auto sequence = std::exchange(text_.unread, {});
    const size_t count = text_.rows.size();
    if (static_cast<size_t>(PySequence_Fast_GET_SIZE(sequence.ptr())) != count) {
        text_.progress.fail();
        return refused_item{0, {}};
    }
    // From here to the end no Python code runs.
    PyObject* const* const items = PySequence_Fast_ITEMS(sequence.ptr());
    text_row* const rows = text_.rows.rows.data();
    text_.references.resize(count);  // which was reserved
    PyObject** reference = text_.references.data();
    std::optional<refused_item> refused;
    for (size_t row = 0; row < count; ++row) {
        if (row % step == 0) text_.progress.reach(row);
        if (row % wake_step == 0) text_.progress.wake();
        if (row + ahead < count) __builtin_prefetch(items[row + ahead], 1);
        PyObject* const item = items[row];
        text_row found;
        if (borrow(item, found)) {
            Py_INCREF(item);
            *reference++ = item;
        } else if (item == Py_None && rules_.take_nulls()) {
            found = text_row();
        } else {
            refused = {row, py::reinterpret_borrow<py::object>(item)};
            break;
        }
        rows[row] = found;
    }
    text_.references.resize(static_cast<size_t>(reference - text_.references.data()));
    if (refused) {
        text_.progress.fail();
    } else {
        text_.progress.reach(count);
        text_.progress.wake();
    }
    return refused;
}

void python_rows::check(const std::optional<refused_item>& refused) const {
    if (!refused) return;
    if (!refused->item) throw std::runtime_error(rules_.doing + ": the list changed while it was read");
    if (refused->item.is_none()) rules_.refuse_null(refused->row);
    rules_.refuse_type(refused->row, refused->item);
}

void read_iterable(py::handle texts, const text_rules& rules, borrowed_text& text) {
    if (!PyObject_HasAttrString(texts.ptr(), "__iter__") && !PySequence_Check(texts.ptr())) {
        throw py::type_error(rules.doing + ": expected rows of text, found " + type_name(texts));
    }
    // These would be read as their keys, and as the names of their columns.
    const char* instead = py::isinstance(texts, py::module_::import("collections.abc").attr("Mapping"))
                              ? "a list of its keys or of its values"
                          : py::hasattr(texts, "columns") ? "one of its columns"
                                                          : nullptr;
    if (instead) {
        throw py::type_error(rules.doing + ": expected rows of text, found one " + type_name(texts) + "; pass " +
                             instead);
    }
    const auto items = py::reinterpret_steal<py::object>(PySequence_Tuple(texts.ptr()));
    if (!items) throw py::error_already_set();
    // Those of pandas, whose nulls are None, NaN or pd.NA.
    if (py::hasattr(texts, "isna")) {
        py::ssize_t row = 0;
        for (const py::handle null : texts.attr("isna")()) {
            const int is_null = PyObject_IsTrue(null.ptr());
            if (is_null < 0) throw py::error_already_set();
            if (is_null && PyTuple_SetItem(items.ptr(), row, py::none().release().ptr()) != 0) {
                throw py::error_already_set();
            }
            ++row;
        }
    }
    read_objects(items, rules, text);
}

python_rows::python_rows(py::handle texts, const text_rules& rules) : rules_(rules) {
    if (PyUnicode_Check(texts.ptr()) || PyBytes_Check(texts.ptr())) {
        if (rules.are_tokens) {
            throw py::type_error(rules.doing + ": tokens is one " + type_name(texts) + "; pass a list of them");
        }
        throw py::type_error(rules.doing + ": expected rows of text, found one " + type_name(texts) + "; pass [text]");
    }
    if (is_token_list(texts.ptr())) {
        read_objects(py::reinterpret_borrow<py::object>(texts), rules, text_);
    } else if (!read_numpy(texts, rules, text_) && !read_arrow(texts, rules, text_)) {
        read_iterable(texts, rules, text_);
    }
    if (text_.unread) expect_items();
}

void python_rows::raise(int64_t row, const text_fault& fault) const {
    const std::string at = std::to_string(fault.at);
    std::string where = rules_.where(static_cast<size_t>(row));
    if (fault.in_token >= 0 && !rules_.are_tokens) where += ", token " + std::to_string(fault.in_token);
    switch (fault.what) {
        case text_fault::kind::invalid_utf8:
            throw py::value_error(where + " is not valid UTF-8 at byte " + at +
                                  "; decode it with the encoding it was written in");
        case text_fault::kind::lone_surrogate:
            throw py::value_error(where + " has a lone surrogate at character " + at +
                                  ", which UTF-8 cannot hold; encode it with errors=\"replace\" first");
        case text_fault::kind::token_too_long:
            throw py::value_error((rules_.are_tokens ? where : where + ", token " + at) + " is longer than 4 GiB");
        case text_fault::kind::unknown_token:
            break;
    }
    throw py::key_error(where + ", token " + at + " (" + shown_token(fault.token) +
                        ") is not in the vocabulary, which has no unk_token");
}

}  // namespace embrow
