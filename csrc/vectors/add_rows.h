// lists of rows of a table -> their sums.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace embrow {

// sums[w] = 0 + sums[w] + table[ids[offsets[w]]] + ..., in that order, for each w. All ids lie in the table.
void add_rows(float* sums, size_t dim, const float* table, std::span<const int64_t> offsets, const int64_t* ids,
              int threads);

}  // namespace embrow
