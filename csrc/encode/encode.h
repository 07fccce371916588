// text -> ids: rows of text and a table to rows of ids.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
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

// Memory for the ids of many tasks, in blocks, each one appender's: threads that shared one would both make the page
// that each begins.
class id_arena {
  public:
    // For at most so many pieces of ids, by so many threads.
    id_arena(size_t pieces, int threads) noexcept
        : pieces_(pieces), threads_(static_cast<size_t>(std::max(threads, 1))) {}

    // A new block of at least `least` ids, which lasts as long as this, or until it is given back.
    std::span<int32_t> block(size_t least);
    void give_back(const int32_t* block);  // where the block begins

    void count_piece() noexcept { pieces_.fetch_sub(1, std::memory_order_relaxed); }

  private:
    std::mutex mutex_;
    std::vector<id_vector> blocks_;
    std::atomic<size_t> pieces_;  // still to be made
    size_t threads_;
};

// Appends ids to a piece, the last in its block of an arena.
class id_appender {
  public:
    explicit id_appender(id_arena& arena) noexcept : arena_(arena) {}
    id_appender(const id_appender&) = delete;
    id_appender& operator=(const id_appender&) = delete;

    std::span<const int32_t> ids() const noexcept { return {begin_, end_}; }
    size_t size() const noexcept { return static_cast<size_t>(end_ - begin_); }

    // Room for `count` more, which are of the piece once they are committed. May move the piece to another block.
    int32_t* room(size_t count) {
        if (static_cast<size_t>(limit_ - end_) < count) [[unlikely]]
            move(count);
        return end_;
    }
    void commit(size_t count) noexcept { end_ += count; }
    void append(std::span<const int32_t> ids) {
        std::copy(ids.begin(), ids.end(), room(ids.size()));
        commit(ids.size());
    }

    void clear() noexcept { end_ = begin_; }

    // Ends the piece, which lasts as long as the arena, and begins the next.
    std::span<const int32_t> cut() noexcept {
        arena_.count_piece();
        return {std::exchange(begin_, end_), end_};
    }

  private:
    void move(size_t count);

    id_arena& arena_;
    int32_t* block_ = nullptr;
    int32_t* begin_ = nullptr;  // of the piece, as the next
    int32_t* end_ = nullptr;
    int32_t* limit_ = nullptr;
};

// Ragged ids, in the pieces that tasks made: rows [i * rows_per_piece, ...) are in pieces[i], one after another.
struct id_pieces {
    size_t rows_per_piece = 1;
    std::vector<std::span<const int32_t>> pieces;
    huge_page_vector<int64_t> lengths;  // of rows
    size_t longest = 0;                 // of lengths
    std::unique_ptr<id_arena> arena;    // what the pieces lie in

    size_t size() const noexcept;  // of all pieces
};

// Rows in one task, about 64 KB of text; a function of the text alone, so that pieces do not depend on threads.
size_t rows_per_task(const text_rows& rows) noexcept;

// All rows, ragged. The fault kept is the first row's. The calling thread calls reading(0) first, which may be what
// rows.progress waits for. With a fault, or where reading fails, what is made is of no use.
id_pieces encode_ragged(const vocab_table& table, const text_rows& rows, const encode_options& options, int threads,
                        row_fault& fault, task_ref reading);

// Rows, no dictionary's, straight into a rectangle of rows.size() x layout.width, for a width of at least max_length,
// which must be set. `lengths` gets each row's ids before padding, unless it is null.
template <class Id>
void encode_padded(const vocab_table& table, const text_rows& rows, const encode_options& options,
                   const pad_layout<Id>& layout, Id* out, int64_t* lengths, int threads, row_fault& fault,
                   task_ref reading);

// Pieces into a rectangle at least as wide as the longest row, or one after another into `out` of ids.size() ids, where
// row r is out[offsets[r]] to out[offsets[r + 1]]; the calling thread calls meanwhile(0) first.
template <class Id>
void pad_pieces(const id_pieces& ids, const pad_layout<Id>& layout, Id* out, int threads, task_ref meanwhile);
template <class Id>
void join_pieces(const id_pieces& ids, Id* out, int64_t* offsets, int threads, task_ref meanwhile);

}  // namespace embrow
