// text -> ids: rows of text and a table to rows of ids.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "common/fault.h"
#include "common/huge_pages.h"
#include "common/threads.h"
#include "pad/pad.h"
#include "text/rows.h"
#include "text/tokens.h"
#include "vocab/table.h"

namespace embrow {

struct encode_options {
    text_options text;
    int32_t unk_id = no_id;  // no_id: an unknown token is a fault
    int32_t bos_id = no_id;  // no_id: none, as the next
    int32_t eos_id = no_id;
    int64_t max_length = -1;  // ids a row keeps, bos and eos among them; negative: all
    bool truncate_left = false;
};

using row_fault = first_fault<text_fault>;

using id_vector = huge_page_vector<int32_t>;

// Memory that threads take in blocks, and use a part of at a time.
class id_arena {
  public:
    // At most so many parts will be taken, by so many threads.
    id_arena(size_t parts, int threads) noexcept : parts_(parts), threads_(static_cast<size_t>(std::max(threads, 1))) {}

    // Room for `count` ids, which lasts as long as this; out of `left`, what the caller has left of its block, or of a
    // new one. Threads that shared a block would both make the page that each begins.
    std::span<int32_t> take(size_t count, std::span<int32_t>& left);

  private:
    std::mutex mutex_;
    std::vector<id_vector> blocks_;
    std::atomic<size_t> parts_;  // still to be taken
    size_t threads_;
};

// Ragged ids, in the pieces that tasks made: rows [i * rows_per_piece, ...) are in pieces[i], one after another.
struct id_pieces {
    size_t rows_per_piece = 1;
    std::vector<std::span<const int32_t>> pieces;
    huge_page_vector<int64_t> offsets;  // rows + 1
    std::unique_ptr<id_arena> arena;    // what the pieces lie in
};

// Rows in one task, about 64 KB of text; a function of the text alone, so that pieces do not depend on threads.
size_t rows_per_task(const text_rows& rows) noexcept;

// All rows, ragged. The fault kept is the first row's. The calling thread calls reading(0) first, which may be what
// rows.progress waits for; where it fails, what is made is of no use.
id_pieces encode_ragged(const vocab_table& table, const text_rows& rows, const encode_options& options, int threads,
                        row_fault& fault, task_ref reading);

// Rows, no dictionary's, straight into a rectangle of rows.size() x layout.width, for a width of at least max_length,
// which must be set. `lengths` gets each row's ids before padding, unless it is null.
template <class Id>
void encode_padded(const vocab_table& table, const text_rows& rows, const encode_options& options,
                   const pad_layout<Id>& layout, Id* out, int64_t* lengths, int threads, row_fault& fault,
                   task_ref reading);

// Pieces into a rectangle at least as wide as the longest row, or one after another into `out` of offsets.back() ids;
// the calling thread calls meanwhile(0) first.
template <class Id>
void pad_pieces(const id_pieces& ids, const pad_layout<Id>& layout, Id* out, int threads, task_ref meanwhile);
template <class Id>
void join_pieces(const id_pieces& ids, Id* out, int threads, task_ref meanwhile);

}  // namespace embrow
