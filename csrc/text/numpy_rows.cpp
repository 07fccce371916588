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

void read_fixed(PyArrayObject* array, text_rows& rows) {
    const bool wide = PyArray_TYPE(array) == NPY_UNICODE;
    const auto bytes = static_cast<size_t>(PyArray_ITEMSIZE(array));
    for (npy_intp row = 0; row < PyArray_DIM(array, 0); ++row) {
        const char* data = static_cast<const char*>(PyArray_GETPTR1(array, row));
        const size_t units = wide ? trimmed<uint32_t>(data, bytes / 4) : trimmed<uint8_t>(data, bytes);
        rows.rows.emplace_back(data, units, wide ? encoding::ucs4 : encoding::unchecked_utf8);
    }
}

// The allocator's lock guards the strings, and is no GIL: other threads wait for it with the GIL in hand, so it is
// taken and given back without it.
class numpy_strings final : public locked_text {
  public:
    explicit numpy_strings(PyArrayObject* array) : array_(array) {}

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
            if (NpyString_load(allocator_, packed, &string) != 0) {
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
    if (is_masked_array(texts)) {
        read_objects(kept.attr("tolist")(), rules, text);  // None for what is masked
        return true;
    }
    switch (PyArray_TYPE(array)) {
        case NPY_OBJECT: {
            const auto items = py::reinterpret_steal<py::object>(PySequence_Tuple(texts.ptr()));
            if (!items) throw py::error_already_set();
            read_objects(items, rules, text);
            return true;
        }
        case NPY_UNICODE:
            if (PyArray_ISBYTESWAPPED(array)) {
                kept = kept.attr("astype")(kept.attr("dtype").attr("newbyteorder")("="));
                array = reinterpret_cast<PyArrayObject*>(kept.ptr());
            }
            [[fallthrough]];
        case NPY_STRING:
            read_fixed(array, text.rows);
            break;
        case NPY_VSTRING:
            text.locked = std::make_unique<numpy_strings>(array);
            break;
        default:
            throw py::type_error(rules.doing + ": expected an array of strings, found dtype " +
                                 std::string(py::str(kept.attr("dtype"))));
    }
    text.owners.push_back(std::move(kept));
    return true;
}

}  // namespace embrow
