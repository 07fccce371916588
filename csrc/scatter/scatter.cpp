#include "scatter/scatter.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "common/threads.h"
#include "common/variant.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace embrow {
namespace {

// Waking a thread costs about as much as summing this much.
constexpr size_t task_bytes = 256 << 10;

// A row seen this often is split by columns over all threads, which changes no bit.
constexpr size_t hot_terms = 4096;
constexpr size_t hot_columns = 64;

constexpr candidate<scatter_kernel> kernels[] = {
#if defined(__x86_64__)
    {variant::avx2, scatter_sum_avx2},
#endif
    {variant::serial, scatter_sum_serial},
};

// Writes the terms that are not padding; returns how many, or the first bad id.
template <class Id>
size_t make_terms(const scatter_job& job, scatter_term* terms, std::optional<bad_id>& bad) noexcept {
    const auto* ids = static_cast<const Id*>(job.ids.data);
    size_t kept = 0;
    for (size_t i = 0; i < job.ids.count; ++i) {
        const int64_t id = ids[i];
        if (id < 0 || id >= job.rows) {
            bad = bad_id{i, id};
            return 0;
        }
        terms[kept] = (static_cast<uint64_t>(id) << 32) | i;
        kept += id != job.padding_idx;
    }
    return kept;
}

size_t run_end(std::span<const scatter_term> terms, size_t begin) noexcept {
    const uint32_t row = term_row(terms[begin]);
    size_t end = begin + 1;
    while (end < terms.size() && term_row(terms[end]) == row) ++end;
    return end;
}

// A fresh table costs a page fault for every page of it that is written. A fault for a large page clears 512 small ones
// and takes as long as about 128 small faults, so large pages pay where at least a quarter of the small ones is
// written.
void choose_page_size(const scatter_job& job, std::span<const scatter_term> terms) noexcept {
#if defined(__linux__)
    constexpr size_t small = 4096;
    const size_t row_bytes = job.dim * element_bytes(job.type);
    size_t written = 0;
    for (size_t i = 1; i < terms.size(); ++i) written += term_row(terms[i]) != term_row(terms[i - 1]);
    written = (written + 1) * (row_bytes / small + 1);
    const size_t table_bytes = static_cast<size_t>(job.rows) * row_bytes;
    if (written >= table_bytes / small / 4) madvise(job.out, table_bytes, MADV_HUGEPAGE);
#else
    static_cast<void>(job);
    static_cast<void>(terms);
#endif
}

}  // namespace

std::optional<bad_id> scatter_rows(const scatter_job& job, int threads) {
    const size_t count = job.ids.count;
    const auto memory = std::make_unique_for_overwrite<scatter_term[]>(2 * count);
    std::optional<bad_id> bad;
    const size_t kept =
        job.ids.is_int64 ? make_terms<int64_t>(job, memory.get(), bad) : make_terms<int32_t>(job, memory.get(), bad);
    if (bad || kept == 0) return bad;
    const std::span<scatter_term> terms{memory.get(), kept};
    sort_terms(terms, {memory.get() + count, kept}, job.rows);

    if (job.untouched) choose_page_size(job, terms);

    scatter_kernel* sum = choose(kernels);
    const size_t row_bytes = std::max<size_t>(job.dim * element_bytes(job.type), 1);
    const size_t terms_per_task = std::max<size_t>(task_bytes / row_bytes, 1);
    std::mutex hot_mutex;
    std::vector<std::span<const scatter_term>> hot;
    // A task sums the rows whose first term lies in its piece.
    parallel_for(threads, task_count(kept, terms_per_task), [&](size_t task) {
        size_t begin = task * terms_per_task;
        const size_t last = std::min(begin + terms_per_task, kept);
        if (begin > 0 && term_row(terms[begin]) == term_row(terms[begin - 1])) {
            begin = std::ranges::upper_bound(terms, term_row(terms[begin]), {}, term_row) - terms.begin();
        }
        while (begin < last) {
            const size_t end = run_end(terms, begin);
            if (threads > 1 && end - begin >= hot_terms && job.dim > hot_columns) {
                const std::scoped_lock lock(hot_mutex);
                hot.push_back(terms.subspan(begin, end - begin));
            } else {
                sum(job, terms.subspan(begin, end - begin), 0, job.dim);
            }
            begin = end;
        }
    });
    const size_t pieces = task_count(job.dim, hot_columns);
    parallel_for(threads, hot.size() * pieces, [&](size_t task) {
        const size_t column = task % pieces * hot_columns;
        sum(job, hot[task / pieces], column, std::min(column + hot_columns, job.dim));
    });
    return std::nullopt;
}

}  // namespace embrow
