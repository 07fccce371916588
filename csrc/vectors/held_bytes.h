// The bytes of a Python object, which is held meanwhile.
//
// pybind11's own buffer_info asks for memory once it holds the object, and if there is none never lets go of it.
#pragma once

#include <string_view>

#include "bind.h"

namespace embrow {

// Made and dropped with the GIL.
class held_bytes {
  public:
    explicit held_bytes(const pybind11::buffer& owner) {
        if (PyObject_GetBuffer(owner.ptr(), &view_, PyBUF_SIMPLE) != 0) throw pybind11::error_already_set();
    }
    ~held_bytes() { PyBuffer_Release(&view_); }
    held_bytes(const held_bytes&) = delete;
    held_bytes& operator=(const held_bytes&) = delete;

    std::string_view bytes() const noexcept {
        return {static_cast<const char*>(view_.buf), static_cast<size_t>(view_.len)};
    }

  private:
    Py_buffer view_;
};

}  // namespace embrow
