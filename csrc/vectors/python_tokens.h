// Python's tokens <-> UTF-8 bytes.
#pragma once

#include <string>
#include <string_view>

#include "bind.h"
#include "text/utf8.h"
#include "vectors/row_store.h"

namespace embrow {

// Calls f with the str's UTF-8, without leaving a cached copy inside a str that is not ASCII.
template <class F>
void with_utf8(pybind11::handle text, F&& f) {
    if (!PyUnicode_Check(text.ptr())) {
        throw pybind11::type_error("tokens must be str, found " + std::string(Py_TYPE(text.ptr())->tp_name));
    }
    if (PyUnicode_IS_ASCII(text.ptr())) {
        f(std::string_view(reinterpret_cast<const char*>(PyUnicode_1BYTE_DATA(text.ptr())),
                           static_cast<size_t>(PyUnicode_GET_LENGTH(text.ptr()))));
        return;
    }
    const auto bytes = pybind11::reinterpret_steal<pybind11::object>(PyUnicode_AsUTF8String(text.ptr()));
    if (!bytes) throw pybind11::error_already_set();
    f(std::string_view(PyBytes_AS_STRING(bytes.ptr()), static_cast<size_t>(PyBytes_GET_SIZE(bytes.ptr()))));
}

inline token_index table_of(const pybind11::typing::List<pybind11::str>& tokens) {
    token_index table;
    for (const pybind11::handle token : tokens) {
        with_utf8(token, [&](std::string_view bytes) { table.insert(bytes); });
    }
    return table;
}

inline bad_utf8 policy_named(const std::string& name) {
    return name == "ignore" ? bad_utf8::ignore : name == "replace" ? bad_utf8::replace : bad_utf8::strict;
}

// The tokens that the store kept from row `begin` on, in the order of their rows, of a store that keeps all.
inline pybind11::typing::List<pybind11::str> kept_tokens(const row_store& store, int64_t begin = 0) {
    pybind11::typing::List<pybind11::str> found(static_cast<size_t>(store.kept() - begin));
    for (int64_t row = begin; row < store.kept(); ++row) {
        const std::string_view bytes = store.tokens().token(static_cast<size_t>(row));
        PyObject* const text = PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), nullptr);
        if (text == nullptr) throw pybind11::error_already_set();
        PyList_SET_ITEM(found.ptr(), row - begin, text);
    }
    return found;
}

}  // namespace embrow
