// The caller's workspace -> the arrays that lie in it, one behind the other.
#pragma once

#include <cstddef>

namespace embrow {

class workspace_layout {
  public:
    // Null: only sizes are asked for.
    explicit workspace_layout(std::byte* begin) noexcept : begin_(begin) {}

    template <class T>
    T* take(size_t count) noexcept {
        auto* at = begin_ == nullptr ? nullptr : reinterpret_cast<T*>(begin_ + bytes_);
        bytes_ += (count * sizeof(T) + alignment - 1) / alignment * alignment;
        return at;
    }
    size_t bytes() const noexcept { return bytes_; }

  private:
    static constexpr size_t alignment = 256;

    std::byte* begin_;
    size_t bytes_ = 0;
};

}  // namespace embrow
