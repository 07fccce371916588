#include "gather/gather.h"

#include <algorithm>
#include <limits>
#include <span>
#include <type_traits>

#include "common/first_bad_id.h"
#include "common/huge_pages.h"
#include "common/threads.h"
#include "common/variant.h"

namespace embrow {
namespace {

// Some microseconds' work: a thread that is woken late is left less to do, and all are done at about the same time.
constexpr size_t task_bytes = 32 << 10;

// To end a task is to wait for the stores that went around the caches.
constexpr size_t streamed_task_bytes = 256 << 10;

// What is written of so much is out of the caches before it can be read, so stores go around them where they can: the
// caches first read what they are to write.
constexpr size_t streamed_bytes = 32 << 20;

constexpr candidate<gather_kernel> kernels[] = {
#if defined(__x86_64__)
    {variant::avx2, gather_copy_avx2},
#endif
    {variant::serial, gather_copy_serial},
};

// All ids are looked at without a branch for each, then those before the first bad one again. The sign of an id is set,
// or that of what is left from it to the last row: any baseline has vectors for that, few for comparing 64 bits.
template <class Id>
std::optional<bad_id> find_among(const id_list& list, int64_t rows) noexcept {
    using word = std::make_unsigned_t<Id>;
    const std::span ids(static_cast<const Id*>(list.data), list.count);
    const auto last = static_cast<word>(std::min<int64_t>(rows - 1, std::numeric_limits<Id>::max()));
    word signs = 0;
    for (const Id id : ids) signs |= static_cast<word>(id) | (last - static_cast<word>(id));
    if (static_cast<Id>(signs) >= 0) return std::nullopt;
    const auto first = std::ranges::find_if(ids, [&](Id id) { return id < 0 || id >= rows; });
    return bad_id{static_cast<size_t>(first - ids.begin()), *first};
}

}  // namespace

std::optional<bad_id> gather_rows(const row_table& table, const id_list& ids, std::byte* out, int threads) {
    prefer_huge_pages(out, ids.count * table.row_bytes);
    gather_kernel* copy = choose(kernels);
    const bool streams = ids.count * table.row_bytes >= streamed_bytes && table.row_bytes % streamed_unit == 0 &&
                         reinterpret_cast<uintptr_t>(out) % streamed_unit == 0;
    const gather_job job{.table = table, .ids = ids, .out = out, .streams = streams};
    const size_t per_task = job.streams ? streamed_task_bytes : task_bytes;
    const size_t rows_per_task = std::max<size_t>(per_task / std::max<size_t>(table.row_bytes, 8), 1);
    threads = threads_for(ids.count * table.row_bytes, threads);
    if (threads <= 1) {
        const size_t end = copy(job, 0, ids.count);
        if (end == ids.count) return std::nullopt;
        return bad_id{end, ids[end]};
    }
    first_bad_id bad;
    parallel_for(threads, task_count(ids.count, rows_per_task), [&](size_t task) {
        const size_t first = task * rows_per_task;
        const size_t last = std::min(first + rows_per_task, ids.count);
        const size_t end = copy(job, first, last);
        if (end != last) bad.report(end, ids[end]);
    });
    return bad.found();
}

std::optional<bad_id> find_bad_id(const id_list& ids, int64_t rows) noexcept {
    return ids.is_int64 ? find_among<int64_t>(ids, rows) : find_among<int32_t>(ids, rows);
}

}  // namespace embrow
