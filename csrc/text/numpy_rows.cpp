// NumPy arrays of strings: fixed-width str and bytes, objects, and StringDType.
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>

#include <cstring>
#include <string>

#include "bind.h"
#include "text/python_rows.h"

namespace py = pybind11;

namespace embrow {
namespace {

bool import_numpy() {
    static const bool imported = PyArray_ImportNumPyAPI() == 0;
    return imported;
}

// Fixed-width strings end before the zeros that fill them.
template <class Unit>
size_t trimmed(const char* data, size_t units) noexcept {
    for (; units > 0; --units) {
        Unit last;
        std::memcpy(&last, data + (units - 1) * sizeof(Unit), sizeof(Unit));
        if (last) break;
    }
    return units;
}

// What is masked in an array of numpy.ma, if anything is.
using masked_rows = std::optional<py::array_t<bool, py::array::c_style>>;

masked_rows masked_in(py::handle array) {
    if (!is_masked_array(array)) return {};
    const py::object mask = array.attr("mask");
    if (mask.is(py::module_::import("numpy.ma").attr("nomask"))) return {};
    return mask;
}

void read_fixed(PyArrayObject* array, const masked_rows& masked, const text_rules& rules, text_rows& rows) {
    const bool wide = PyArray_TYPE(array) == NPY_UNICODE;
    const auto bytes = static_cast<size_t>(PyArray_ITEMSIZE(array));
    for (npy_intp row = 0; row < PyArray_DIM(array, 0); ++row) {
        if (masked && masked->data()[row]) {
            if (!rules.take_nulls()) rules.refuse_null(static_cast<size_t>(row));
            rows.rows.push_back(text_row());
            continue;
        }
        const char* data = static_cast<const char*>(PyArray_GETPTR1(array, row));
        const size_t units = wide ? trimmed<uint32_t>(data, bytes / 4) : trimmed<uint8_t>(data, bytes);
        rows.rows.emplace_back(data, units, wide ? encoding::ucs4 : encoding::unchecked_utf8);
    }
}

// The allocator's lock guards the strings, and is no GIL: other threads wait for it with the GIL in hand, so it is
// taken and given back without it.
class numpy_strings final : public locked_text {
  public:
    numpy_strings(PyArrayObject* array, masked_rows masked) : array_(array), masked_(std::move(masked)) {}

    size_t size() const noexcept override { return static_cast<size_t>(PyArray_DIM(array_, 0)); }

    std::optional<size_t> acquire(text_rows& rows) override {
        const auto* dtype = reinterpret_cast<const PyArray_StringDTypeObject*>(PyArray_DESCR(array_));
        rows.rows.assign(size(), text_row());  // may throw, which must not happen with the lock in hand
        allocator_ = NpyString_acquire_allocator(dtype);
        std::optional<size_t> null;
        for (size_t row = 0; row < size(); ++row) {
            const auto* packed =
                static_cast<const npy_packed_static_string*>(PyArray_GETPTR1(array_, static_cast<npy_intp>(row)));
            npy_static_string string = {0, nullptr};
            if ((masked_ && masked_->data()[row]) || NpyString_load(allocator_, packed, &string) != 0) {
                if (!null) null = row;
                continue;
            }
            rows.rows[row] = {string.buf, string.size, encoding::unchecked_utf8};
        }
        return null;
    }

    void release() noexcept override { NpyString_release_allocator(allocator_); }

  private:
    PyArrayObject* array_;
    masked_rows masked_;
    npy_string_allocator* allocator_ = nullptr;
};

}  // namespace

bool read_numpy(py::handle texts, const text_rules& rules, borrowed_text& text) {
    if (!import_numpy()) throw py::error_already_set();
    if (!PyArray_Check(texts.ptr())) return false;
    auto* array = reinterpret_cast<PyArrayObject*>(texts.ptr());
    if (PyArray_NDIM(array) != 1) {
        throw py::value_error(rules.doing + ": expected an array of one dimension, found " +
                              std::to_string(PyArray_NDIM(array)));
    }
    auto kept = py::reinterpret_borrow<py::object>(texts);
    switch (PyArray_TYPE(array)) {
        case NPY_OBJECT: {
            // A masked array's list has None for what is masked.
            read_objects(kept.attr("tolist")(), rules, text);
            return true;
        }
        case NPY_UNICODE:
            if (PyArray_ISBYTESWAPPED(array)) {
                kept = kept.attr("astype")(kept.attr("dtype").attr("newbyteorder")("="));
                array = reinterpret_cast<PyArrayObject*>(kept.ptr());
            }
            [[fallthrough]];
        case NPY_STRING:
            read_fixed(array, masked_in(texts), rules, text.rows);
            break;
        case NPY_VSTRING:
            text.locked = std::make_unique<numpy_strings>(array, masked_in(texts));
            break;
        default:
            throw py::type_error(rules.doing + ": expected an array of strings, found dtype " +
                                 std::string(py::str(kept.attr("dtype"))));
    }
    text.owners.push_back(std::move(kept));
    return true;
}

}  // namespace embrow
