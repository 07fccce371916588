#include "encode/encode.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "vocab/lookup.h"

namespace embrow {
namespace {

// One thread's work: reads rows, looks their tokens up in batches that may span rows, and hands on groups of rows.
//
//     row -> tokens -> keys and hashes (slots fetched) -> a batch: slots, keys (fetched), ids -> group of rows
class row_encoder {
  public:
    row_encoder(const vocab_table& table, const text_rows& rows, const encode_options& options)
        : table_(table), rows_(rows), options_(options), reader_(options.text) {}

    // Appends the ids of rows [begin, end) to `ids`, some rows at a time; then calls finish(first, ends), where row
    // first + i of them ends at ids[ends[i]]. `finish` may take ids away. Stops at a row with a fault, which is
    // reported once the rows before it are finished.
    template <class Finish>
    void run(size_t begin, size_t end, id_appender& ids, row_fault& fault, Finish&& finish) {
        ids_ = &ids;
        unknown_ = none;
        for (size_t row = begin; row < end;) {
            const size_t first = row;
            row_ends_.clear();
            size_t from = ids.size();
            std::optional<text_fault> refused;
            // Enough rows to fill a batch, or the scratch; then all of them are finished.
            do {
                token_reader::prefetch(rows_, row + token_reader::rows_ahead);
                refused = reader_.read(rows_, row++, [&](const token_run& run) { take(run); });
                row_ends_.push_back(ids.size() + batch_.size());
            } while (row < end && !refused && row_ends_.back() - from < token_batch::enough && !reader_.scratch_full());
            flush();
            reader_.release();
            if (unknown_ != none) {
                const auto at = std::upper_bound(row_ends_.begin(), row_ends_.end(), unknown_);
                if (at != row_ends_.begin()) from = at[-1];
                refused = text_fault{text_fault::kind::unknown_token, static_cast<int64_t>(unknown_ - from),
                                     std::move(unknown_text_)};
                row_ends_.erase(at + 1, row_ends_.end());
            }
            if (refused) row_ends_.pop_back();
            finish(first, std::span<const size_t>(row_ends_));
            if (refused) {
                fault.report(static_cast<int64_t>(first + row_ends_.size()), std::move(*refused));
                return;
            }
        }
    }

    // The same for one row at a time: finish(row, ids).
    template <class Finish>
    void run_rows(size_t begin, size_t end, row_fault& fault, Finish&& finish) {
        row_ids_.clear();
        run(begin, end, row_ids_, fault, [&](size_t row, std::span<const size_t> ends) {
            size_t from = 0;
            for (const size_t to : ends) {
                finish(row++, row_ids_.ids().subspan(from, to - from));
                from = to;
            }
            row_ids_.clear();
        });
    }

  private:
    static constexpr size_t none = SIZE_MAX;

    void take(const token_run& run) {
        batch_.take(run, table_, [&] { flush(); });
    }

    void flush() {
        int32_t* const found = ids_->room(batch_.size());
        table_.find_batch(batch_.tokens(), options_.unk_id, found);
        if (options_.unk_id == no_id && unknown_ == none) find_unknown({found, batch_.size()});
        ids_->commit(batch_.size());
        batch_.clear();
    }

    void find_unknown(std::span<const int32_t> found) {
        const auto at = static_cast<size_t>(std::find(found.begin(), found.end(), no_id) - found.begin());
        if (at == found.size()) return;
        unknown_ = ids_->size() + at;
        const token_key& key = batch_.tokens()[at].key;
        unknown_text_ = key_text(key, key.address()).substr(0, shown_token_bytes);
    }

    const vocab_table& table_;
    const text_rows& rows_;
    const encode_options& options_;
    token_reader reader_;
    token_batch batch_;
    id_appender* ids_ = nullptr;
    id_arena row_arena_{1, 1};
    id_appender row_ids_{row_arena_};
    std::vector<size_t> row_ends_;
    size_t unknown_ = none;  // the first unknown token that is a fault, in ids
    std::string unknown_text_;
};

// Rows of ids as options ask for them: cut, between bos and eos.
class row_framer {
  public:
    explicit row_framer(const encode_options& options) : options_(options) {}

    bool leaves_rows() const noexcept { return !added() && options_.max_length < 0; }

    // A row's ids, which may lie in memory that the next call changes.
    std::span<const int32_t> frame(std::span<const int32_t> ids) {
        if (options_.max_length >= 0) {
            const size_t kept = std::min(ids.size(), static_cast<size_t>(options_.max_length) - added());
            ids = options_.truncate_left ? ids.last(kept) : ids.first(kept);
        }
        if (!added()) return ids;
        framed_.clear();
        if (options_.bos_id != no_id) framed_.push_back(options_.bos_id);
        framed_.insert(framed_.end(), ids.begin(), ids.end());
        if (options_.eos_id != no_id) framed_.push_back(options_.eos_id);
        return framed_;
    }

  private:
    size_t added() const noexcept { return (options_.bos_id != no_id) + (options_.eos_id != no_id); }

    const encode_options& options_;
    std::vector<int32_t> framed_;
};

// Runs body(task, memory, begin, end) over all rows, `grain` of them a task, while reading(0) makes rows. `memory` is
// what make() returns a pointer to, handed on from task to task, since memory is slow where it is new. A task behind
// the first fault known so far is not begun.
template <class Make, class Body>
void for_each_task(const text_rows& rows, size_t grain, int threads, const row_fault& fault, task_ref reading,
                   Make&& make, Body&& body) {
    std::mutex mutex;
    std::vector<decltype(make())> free;
    const auto take = [&] {
        const std::scoped_lock lock(mutex);
        if (free.empty()) return decltype(make())();
        auto last = std::move(free.back());
        free.pop_back();
        return last;
    };
    const auto run = [&](size_t task) {
        const size_t begin = task * grain;
        const size_t end = std::min(rows.size(), begin + grain);
        if (!rows.wait_for(end + token_reader::rows_ahead)) return;
        if (fault.position() < static_cast<int64_t>(begin)) return;
        auto memory = take();
        if (!memory) memory = make();
        body(task, *memory, begin, end);
        const std::scoped_lock lock(mutex);
        free.push_back(std::move(memory));
    };
    const task_order order = rows.progress ? task_order::ascending : task_order::by_stretches;
    parallel_for(threads, task_count(rows.size(), grain), run, reading, order);
}

constexpr size_t bytes_per_task = size_t{1} << 16;
constexpr size_t ids_per_task = bytes_per_task / 4;  // seldom more

}  // namespace

std::span<int32_t> id_arena::block(size_t least) {
    constexpr size_t usual = huge_page / sizeof(int32_t);
    // The pieces still to come are as many for every thread.
    const size_t to_come = task_count(pieces_.load(std::memory_order_relaxed), threads_);
    id_vector made;
    made.resize(std::max(least, std::min(usual, ids_per_task * to_come)));
    const std::scoped_lock lock(mutex_);
    blocks_.push_back(std::move(made));
    return blocks_.back();
}

void id_arena::give_back(const int32_t* block) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(blocks_, [&](const id_vector& each) { return each.data() == block; });
}

void id_appender::move(size_t count) {
    // More than there is, so that a long piece seldom moves.
    const std::span<int32_t> block = arena_.block(size() + std::max(size(), count));
    const int32_t* const outgrown = begin_ == block_ ? block_ : nullptr;  // by the only piece with ids in it
    end_ = std::copy(begin_, end_, block.data());
    block_ = begin_ = block.data();
    limit_ = begin_ + block.size();
    if (outgrown) arena_.give_back(outgrown);
}

size_t id_pieces::size() const noexcept {
    size_t size = 0;
    for (const auto piece : pieces) size += piece.size();
    return size;
}

size_t rows_per_task(const text_rows& rows) noexcept {
    size_t row_bytes = 0;
    if (rows.progress) {
        row_bytes = rows.progress->expected_bytes;
    } else {
        for (const text_row& row : rows.rows) row_bytes += row.units();
        row_bytes /= std::max<size_t>(rows.picked ? rows.rows.size() : rows.size(), 1);
    }
    // A row costs something even when it is empty.
    return std::max<size_t>(1, bytes_per_task / (row_bytes + 8));
}

namespace {

// The ids of rows that are values of a dictionary: each value is encoded once, its ids are copied to its rows. Values
// come in the order in which rows first are them, so that the first with a fault is the first such row's; a value that
// no row is may be anything, so it is not read.
id_pieces encode_picked(const vocab_table& table, const text_rows& rows, const encode_options& options, int threads,
                        row_fault& fault) {
    text_rows values;
    constexpr size_t unseen = SIZE_MAX;
    std::vector<size_t> numbers(rows.rows.size() + 1, unseen);  // the last is that of rows that are none
    const auto number_of = [&](size_t row) -> size_t& {
        return numbers[rows.picks[row] == text_rows::none ? rows.rows.size() : static_cast<size_t>(rows.picks[row])];
    };
    for (size_t row = 0; row < rows.size(); ++row) {
        if (number_of(row) != unseen) continue;
        number_of(row) = values.rows.size();
        values.rows.push_back(rows.text(row));
    }
    row_fault value_fault;
    const id_pieces encoded = encode_ragged(table, values, options, threads, value_fault, [](size_t) {});
    id_pieces made;
    if (value_fault) {
        size_t row = 0;
        while (number_of(row) != static_cast<size_t>(value_fault.position())) ++row;
        fault.report(static_cast<int64_t>(row), value_fault.detail());
        return made;
    }
    std::vector<int32_t> joined(encoded.size());
    std::vector<int64_t> starts(values.rows.size() + 1);
    join_pieces(encoded, joined.data(), starts.data(), threads, [](size_t) {});
    made.longest = encoded.longest;
    made.lengths.resize(rows.size());
    std::vector<int64_t> offsets(rows.size() + 1);
    for (size_t row = 0; row < rows.size(); ++row) {
        const size_t value = number_of(row);
        made.lengths[row] = starts[value + 1] - starts[value];
        offsets[row + 1] = offsets[row] + made.lengths[row];
    }
    constexpr size_t ids_per_piece = size_t{1} << 14;
    const auto ids = static_cast<size_t>(offsets.back());
    made.rows_per_piece = std::max<size_t>(1, rows.size() * ids_per_piece / (ids + 1));
    made.pieces.resize(task_count(rows.size(), made.rows_per_piece));
    made.arena = std::make_unique<id_arena>(1, 1);
    const std::span<int32_t> room = made.arena->block(ids);
    parallel_for(threads, made.pieces.size(), [&](size_t task) {
        const size_t begin = task * made.rows_per_piece;
        const size_t end = std::min(rows.size(), begin + made.rows_per_piece);
        int32_t* to = room.data() + offsets[begin];
        for (size_t row = begin; row < end; ++row) {
            const size_t value = number_of(row);
            to = std::copy(joined.data() + starts[value], joined.data() + starts[value + 1], to);
        }
        made.pieces[task] = room.subspan(offsets[begin], offsets[end] - offsets[begin]);
    });
    return made;
}

}  // namespace

id_pieces encode_ragged(const vocab_table& table, const text_rows& rows, const encode_options& options, int threads,
                        row_fault& fault, task_ref reading) {
    if (rows.picked) {
        reading(0);
        return encode_picked(table, rows, options, threads, fault);
    }
    id_pieces made;
    made.rows_per_piece = rows_per_task(rows);
    made.pieces.resize(task_count(rows.size(), made.rows_per_piece));
    made.lengths.resize(rows.size());
    made.arena = std::make_unique<id_arena>(made.pieces.size(), threads);
    struct task_memory {
        task_memory(const vocab_table& table, const text_rows& rows, const encode_options& options, id_arena& arena)
            : encoder(table, rows, options), ids(arena) {}

        row_encoder encoder;
        id_appender ids;
    };
    std::mutex mutex;  // of made.longest
    const auto make = [&] { return std::make_unique<task_memory>(table, rows, options, *made.arena); };
    const auto encode = [&](size_t task, task_memory& memory, size_t begin, size_t end) {
        size_t longest = 0;
        const auto note_length = [&](size_t row, size_t length) {
            made.lengths[row] = static_cast<int64_t>(length);
            longest = std::max(longest, length);
        };
        row_framer framer(options);
        if (framer.leaves_rows()) {
            size_t from = 0;
            memory.encoder.run(begin, end, memory.ids, fault, [&](size_t row, std::span<const size_t> ends) {
                for (const size_t to : ends) {
                    note_length(row++, to - from);
                    from = to;
                }
            });
        } else {
            memory.encoder.run_rows(begin, end, fault, [&](size_t row, std::span<const int32_t> ids) {
                const auto framed = framer.frame(ids);
                memory.ids.append(framed);
                note_length(row, framed.size());
            });
        }
        made.pieces[task] = memory.ids.cut();
        const std::scoped_lock lock(mutex);
        made.longest = std::max(made.longest, longest);
    };
    for_each_task(rows, made.rows_per_piece, threads, fault, reading, make, encode);
    return made;
}

template <class Id>
void encode_padded(const vocab_table& table, const text_rows& rows, const encode_options& options,
                   const pad_layout<Id>& layout, Id* out, int64_t* lengths, int threads, row_fault& fault,
                   task_ref reading) {
    const auto make = [&] { return std::make_unique<row_encoder>(table, rows, options); };
    const auto encode = [&](size_t, row_encoder& encoder, size_t begin, size_t end) {
        row_framer framer(options);
        encoder.run_rows(begin, end, fault, [&](size_t row, std::span<const int32_t> ids) {
            const auto framed = framer.frame(ids);
            pad_row(layout, framed.data(), framed.size(), out + row * layout.width);
            if (lengths) lengths[row] = static_cast<int64_t>(framed.size());
        });
    };
    for_each_task(rows, rows_per_task(rows), threads, fault, reading, make, encode);
}

template <class Id>
void pad_pieces(const id_pieces& ids, const pad_layout<Id>& layout, Id* out, int threads, task_ref meanwhile) {
    const size_t rows = ids.lengths.size();
    const auto pad = [&](size_t task) {
        const int32_t* from = ids.pieces[task].data();
        const size_t end = std::min(rows, (task + 1) * ids.rows_per_piece);
        for (size_t row = task * ids.rows_per_piece; row < end; ++row) {
            const auto count = static_cast<size_t>(ids.lengths[row]);
            pad_row(layout, from, count, out + row * layout.width);
            from += count;
        }
    };
    parallel_for(threads, ids.pieces.size(), pad, meanwhile);
}

template <class Id>
void join_pieces(const id_pieces& ids, Id* out, int64_t* offsets, int threads, task_ref meanwhile) {
    const size_t rows = ids.lengths.size();
    std::vector<int64_t> begins(ids.pieces.size());
    int64_t total = 0;
    for (size_t task = 0; task < begins.size(); ++task) {
        begins[task] = total;
        total += static_cast<int64_t>(ids.pieces[task].size());
    }
    offsets[rows] = total;
    const auto join = [&](size_t task) {
        int64_t at = begins[task];
        std::copy(ids.pieces[task].begin(), ids.pieces[task].end(), out + at);
        const size_t end = std::min(rows, (task + 1) * ids.rows_per_piece);
        for (size_t row = task * ids.rows_per_piece; row < end; ++row) {
            offsets[row] = at;
            at += ids.lengths[row];
        }
    };
    parallel_for(threads, ids.pieces.size(), join, meanwhile);
}

template void encode_padded(const vocab_table&, const text_rows&, const encode_options&, const pad_layout<int32_t>&,
                            int32_t*, int64_t*, int, row_fault&, task_ref);
template void encode_padded(const vocab_table&, const text_rows&, const encode_options&, const pad_layout<int64_t>&,
                            int64_t*, int64_t*, int, row_fault&, task_ref);
template void pad_pieces(const id_pieces&, const pad_layout<int32_t>&, int32_t*, int, task_ref);
template void pad_pieces(const id_pieces&, const pad_layout<int64_t>&, int64_t*, int, task_ref);
template void join_pieces(const id_pieces&, int32_t*, int64_t*, int, task_ref);
template void join_pieces(const id_pieces&, int64_t*, int64_t*, int, task_ref);

}  // namespace embrow
