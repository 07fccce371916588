#include "encode/encode.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "common/threads.h"

namespace embrow {
namespace {

// One thread's work: reads rows, looks their tokens up in batches that may span rows, and hands finished rows on.
//
//     row -> tokens -> keys and hashes (slots fetched) -> 256 at a time: slots, keys (fetched), ids -> finished rows
class row_encoder {
  public:
    row_encoder(const vocab_table& table, const text_rows& rows, const encode_options& options)
        : table_(table), rows_(rows), options_(options), reader_(options.text) {}

    // Calls finish(row, ids, count) for rows [begin, end) in order, until a row has a fault, which is reported.
    template <class Finish>
    void run(size_t begin, size_t end, row_fault& fault, Finish&& finish) {
        for (size_t row = begin; row < end;) {
            size_t first = row;
            ids_.clear();
            row_ends_.clear();
            std::optional<text_fault> refused;
            // Enough rows to fill a batch, or the scratch; then all of them are finished.
            do {
                token_reader::prefetch(rows_, row + token_reader::rows_ahead);
                refused = reader_.read(rows_, row++, [&](const char* text, size_t size, const readable& around) {
                    push(text, size, around);
                });
                row_ends_.push_back(ids_.size() + pending_);
            } while (row < end && !refused && row_ends_.back() < vocab_table::batch && !reader_.scratch_full());
            flush();
            size_t from = 0;
            for (const size_t to : row_ends_) {
                if (from <= refused_token_ && refused_token_ < to) {
                    token_fault_.at = static_cast<int64_t>(refused_token_ - from);
                    fault.report(static_cast<int64_t>(first), token_fault_);
                    return;
                }
                if (refused && first + 1 == row) {
                    fault.report(static_cast<int64_t>(first), *refused);
                    return;
                }
                finish_row(first++, from, to, finish);
                from = to;
            }
            reader_.release();
        }
    }

  private:
    static constexpr size_t shown_bytes = 64;

    void push(const char* text, size_t size, const readable& around) {
        if (pending_ == vocab_table::batch) flush();
        if (size > max_token_bytes) [[unlikely]] {
            refuse(ids_.size() + pending_, text_fault::kind::token_too_long, {text, shown_bytes});
            size = 0;
        }
        tokens_[pending_] = hash_token(text, size, around, table_.seed());
        table_.prefetch(tokens_[pending_].hash);
        ++pending_;
    }

    void flush() {
        const size_t had = ids_.size();
        ids_.resize(had + pending_);
        int32_t* const ids = ids_.data() + had;
        table_.find_batch(tokens_, pending_, ids);
        for (size_t i = 0; i < pending_; ++i) {
            if (ids[i] != no_id) continue;
            ids[i] = options_.unk_id;
            if (options_.unk_id == no_id) refuse(had + i, text_fault::kind::unknown_token, text_of(tokens_[i].key));
        }
        pending_ = 0;
    }

    static std::string_view text_of(const token_key& key) noexcept {
        const char* text = key.is_inline() ? reinterpret_cast<const char*>(&key) + 4 : key.address();
        return {text, std::min<size_t>(key.size(), shown_bytes)};
    }

    void refuse(size_t token, text_fault::kind what, std::string_view text) {
        if (token >= refused_token_) return;
        refused_token_ = token;
        token_fault_ = {what, 0, std::string(text)};
    }

    template <class Finish>
    void finish_row(size_t row, size_t from, size_t to, Finish&& finish) {
        const size_t added = (options_.bos_id != no_id) + (options_.eos_id != no_id);
        size_t kept = to - from;
        if (options_.max_length >= 0) kept = std::min(kept, static_cast<size_t>(options_.max_length) - added);
        const int32_t* ids = ids_.data() + (options_.truncate_left ? to - kept : from);
        if (added) {
            framed_.clear();
            if (options_.bos_id != no_id) framed_.push_back(options_.bos_id);
            framed_.insert(framed_.end(), ids, ids + kept);
            if (options_.eos_id != no_id) framed_.push_back(options_.eos_id);
            ids = framed_.data();
        }
        finish(row, ids, kept + added);
    }

    const vocab_table& table_;
    const text_rows& rows_;
    const encode_options& options_;
    token_reader reader_;
    hashed_token tokens_[vocab_table::batch];
    size_t pending_ = 0;
    std::vector<int32_t> ids_;      // of the rows read since the last release, but for the pending tokens
    std::vector<size_t> row_ends_;  // in ids_
    std::vector<int32_t> framed_;
    size_t refused_token_ = SIZE_MAX;  // in ids_
    text_fault token_fault_;
};

// Runs body(task, encoder, begin, end) over all rows. A task behind the first fault known so far is not begun.
template <class Body>
void for_each_task(const vocab_table& table, const text_rows& rows, const encode_options& options, int threads,
                   const row_fault& fault, Body&& body) {
    const size_t grain = rows_per_task(rows);
    parallel_for(threads, task_count(rows.size(), grain), [&](size_t task) {
        const size_t begin = task * grain;
        if (fault.position() < static_cast<int64_t>(begin)) return;
        const auto encoder = std::make_unique<row_encoder>(table, rows, options);
        body(task, *encoder, begin, std::min(rows.size(), begin + grain));
    });
}

}  // namespace

size_t rows_per_task(const text_rows& rows) noexcept {
    constexpr size_t bytes_per_task = size_t{1} << 16;
    size_t bytes = 0;
    for (const text_row& row : rows.rows) bytes += row.units();
    // A row costs something even when it is empty.
    const size_t row_bytes = bytes / std::max<size_t>(rows.picked ? rows.rows.size() : rows.size(), 1) + 8;
    return std::max<size_t>(1, bytes_per_task / row_bytes);
}

namespace {

// The ids of rows that are values of a dictionary: each value is encoded once, its ids are copied to its rows.
id_pieces encode_picked(const vocab_table& table, const text_rows& rows, const encode_options& options, int threads,
                        row_fault& fault) {
    text_rows values;
    values.rows.resize(rows.rows.size() + 1);  // the last is that of rows that are none
    // A value that no row is may be anything, so it is not read.
    for (const int64_t value : rows.picks) {
        if (value != text_rows::none) values.rows[value] = rows.rows[value];
    }
    row_fault value_fault;
    const id_pieces encoded = encode_ragged(table, values, options, threads, value_fault);
    const auto value_of = [&](size_t row) {
        return rows.picks[row] == text_rows::none ? values.rows.size() - 1 : static_cast<size_t>(rows.picks[row]);
    };
    id_pieces made;
    made.offsets.resize(rows.size() + 1);
    for (size_t row = 0; row < rows.size(); ++row) {
        const size_t value = value_of(row);
        if (value_fault && value == static_cast<size_t>(value_fault.position())) {
            fault.report(static_cast<int64_t>(row), value_fault.detail());
            return made;
        }
        made.offsets[row + 1] = made.offsets[row] + encoded.offsets[value + 1] - encoded.offsets[value];
    }
    constexpr size_t ids_per_piece = size_t{1} << 14;
    const auto ids = static_cast<size_t>(made.offsets.back());
    made.rows_per_piece = std::max<size_t>(1, rows.size() * ids_per_piece / (ids + 1));
    made.pieces.resize(task_count(rows.size(), made.rows_per_piece));
    std::vector<int32_t> joined(static_cast<size_t>(encoded.offsets.back()));
    join_pieces(encoded, joined.data(), threads);
    parallel_for(threads, made.pieces.size(), [&](size_t task) {
        const size_t end = std::min(rows.size(), (task + 1) * made.rows_per_piece);
        for (size_t row = task * made.rows_per_piece; row < end; ++row) {
            const size_t value = value_of(row);
            made.pieces[task].insert(made.pieces[task].end(), joined.data() + encoded.offsets[value],
                                     joined.data() + encoded.offsets[value + 1]);
        }
    });
    return made;
}

}  // namespace

id_pieces encode_ragged(const vocab_table& table, const text_rows& rows, const encode_options& options, int threads,
                        row_fault& fault) {
    if (rows.picked) return encode_picked(table, rows, options, threads, fault);
    id_pieces made;
    made.rows_per_piece = rows_per_task(rows);
    made.pieces.resize(task_count(rows.size(), made.rows_per_piece));
    made.offsets.resize(rows.size() + 1);
    for_each_task(table, rows, options, threads, fault,
                  [&](size_t task, row_encoder& encoder, size_t begin, size_t end) {
                      std::vector<int32_t>& piece = made.pieces[task];
                      encoder.run(begin, end, fault, [&](size_t row, const int32_t* ids, size_t count) {
                          piece.insert(piece.end(), ids, ids + count);
                          made.offsets[row + 1] = static_cast<int64_t>(count);
                      });
                  });
    std::partial_sum(made.offsets.begin(), made.offsets.end(), made.offsets.begin());
    return made;
}

template <class Id>
void encode_padded(const vocab_table& table, const text_rows& rows, const encode_options& options,
                   const pad_layout<Id>& layout, Id* out, int64_t* lengths, int threads, row_fault& fault) {
    for_each_task(table, rows, options, threads, fault, [&](size_t, row_encoder& encoder, size_t begin, size_t end) {
        encoder.run(begin, end, fault, [&](size_t row, const int32_t* ids, size_t count) {
            pad_row(layout, ids, count, out + row * layout.width);
            if (lengths) lengths[row] = static_cast<int64_t>(count);
        });
    });
}

template <class Id>
void pad_pieces(const id_pieces& ids, const pad_layout<Id>& layout, Id* out, int threads) {
    const size_t rows = ids.offsets.size() - 1;
    parallel_for(threads, ids.pieces.size(), [&](size_t task) {
        const int32_t* from = ids.pieces[task].data();
        const size_t end = std::min(rows, (task + 1) * ids.rows_per_piece);
        for (size_t row = task * ids.rows_per_piece; row < end; ++row) {
            const auto count = static_cast<size_t>(ids.offsets[row + 1] - ids.offsets[row]);
            pad_row(layout, from, count, out + row * layout.width);
            from += count;
        }
    });
}

template <class Id>
void join_pieces(const id_pieces& ids, Id* out, int threads) {
    parallel_for(threads, ids.pieces.size(), [&](size_t task) {
        std::copy(ids.pieces[task].begin(), ids.pieces[task].end(), out + ids.offsets[task * ids.rows_per_piece]);
    });
}

template void encode_padded(const vocab_table&, const text_rows&, const encode_options&, const pad_layout<int32_t>&,
                            int32_t*, int64_t*, int, row_fault&);
template void encode_padded(const vocab_table&, const text_rows&, const encode_options&, const pad_layout<int64_t>&,
                            int64_t*, int64_t*, int, row_fault&);
template void pad_pieces(const id_pieces&, const pad_layout<int32_t>&, int32_t*, int);
template void pad_pieces(const id_pieces&, const pad_layout<int64_t>&, int64_t*, int);
template void join_pieces(const id_pieces&, int32_t*, int);
template void join_pieces(const id_pieces&, int64_t*, int);

}  // namespace embrow
