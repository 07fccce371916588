#include "encode/pack.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <string_view>

#include "common/threads.h"
#include "text/tokens.h"

namespace embrow {
namespace {

// Runs body(reader, row) over all rows, in tasks; it returns whether to go on with the task.
template <class Body>
void for_each_row(const text_rows& rows, int threads, Body&& body) {
    const size_t grain = rows_per_task(rows);
    parallel_for(threads, task_count(rows.size(), grain), [&](size_t task) {
        const auto reader = std::make_unique<token_reader>(text_options{});
        const size_t end = std::min(rows.size(), (task + 1) * grain);
        for (size_t row = task * grain; row < end; ++row) {
            token_reader::prefetch(rows, row + token_reader::rows_ahead);
            if (!body(*reader, row)) return;
            reader->release();
        }
    });
}

bool is_utf8(encoding stored) {
    return stored == encoding::utf8 || stored == encoding::unchecked_utf8;
}

}  // namespace

std::vector<int64_t> packed_offsets(const text_rows& rows, int threads) {
    std::vector<int64_t> offsets(rows.size() + 1);
    bool all_utf8 = true;
    for (size_t row = 0; row < rows.size(); ++row) {
        const text_row text = rows.text(row);
        all_utf8 &= is_utf8(text.stored());
        offsets[row + 1] = static_cast<int64_t>(text.units());
    }
    if (!all_utf8) {
        for_each_row(rows, threads, [&](token_reader& reader, size_t row) {
            const text_row text = rows.text(row);
            if (is_utf8(text.stored())) return true;
            std::string_view read;
            reader.read_whole(text, read);  // a fault is found again, and told, when it is packed
            offsets[row + 1] = static_cast<int64_t>(read.size());
            return true;
        });
    }
    std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
    return offsets;
}

bool pack_rows(const text_rows& rows, const std::vector<int64_t>& offsets, char* out, int threads, row_fault& fault) {
    if (rows.size() + 1 != offsets.size()) return false;
    std::atomic<bool> unchanged{true};
    for_each_row(rows, threads, [&](token_reader& reader, size_t row) {
        std::string_view text;
        if (auto refused = reader.read_whole(rows.text(row), text)) {
            fault.report(static_cast<int64_t>(row), std::move(*refused));
            return false;
        }
        if (static_cast<int64_t>(text.size()) != offsets[row + 1] - offsets[row]) {
            unchanged.store(false, std::memory_order_relaxed);
            return false;
        }
        std::copy(text.begin(), text.end(), out + offsets[row]);
        return true;
    });
    return unchanged.load(std::memory_order_relaxed);
}

}  // namespace embrow
