// rows of text -> one stretch of valid UTF-8, row after row: what encoding on a GPU takes.
#pragma once

#include <cstdint>
#include <vector>

#include "encode/encode.h"
#include "text/rows.h"

namespace embrow {

// Where each row that is not tokens begins in the packed text, and where the last ends: rows + 1 numbers.
std::vector<int64_t> packed_offsets(const text_rows& rows, int threads);

// Writes every row to out[offsets[r], offsets[r + 1]). The fault kept is the first row's. False if a row has another
// size than it had when offsets were found, as memory that others write to may; `out` then holds no more than it
// should.
bool pack_rows(const text_rows& rows, const std::vector<int64_t>& offsets, char* out, int threads, row_fault& fault);

}  // namespace embrow
