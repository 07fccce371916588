// numbers of rows -> their bytes, read where they lie in a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace embrow {

// Reads `size` bytes of the file `descriptor` from `begin` on; returns how many there were before the file ended.
// Throws std::system_error.
size_t read_at(int descriptor, uint64_t begin, size_t size, std::byte* out);

// Copies row r of the file, row_bytes bytes from begin + r * row_bytes on, to the front of `out` for each of `rows`,
// which ascend. Throws std::system_error, and cut_short (vectors.h) with the first row at which the file ends.
void read_rows(int descriptor, uint64_t begin, size_t row_bytes, std::span<const int64_t> rows, std::byte* out,
               int threads);

}  // namespace embrow
