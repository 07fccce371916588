// Valid UTF-8 -> str.lower of it.
#pragma once

#include <cstddef>

namespace embrow {

// The most bytes that the lower case of `size` bytes takes: two bytes can become three (U+0130, U+023A).
constexpr size_t lower_bound(size_t size) noexcept {
    return size + size / 2;
}

// Writes the lower case of a whole row to `out`, which holds lower_bound(size) bytes; returns its size. The row must be
// whole because a capital sigma is lowered by what stands around it.
size_t lower_row(const char* text, size_t size, char* out) noexcept;

}  // namespace embrow
