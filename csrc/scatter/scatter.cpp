#include "scatter/scatter.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <vector>

#include "common/huge_pages.h"
#include "common/prefetch.h"
#include "common/sorted_terms.h"
#include "common/threads.h"
#include "common/variant.h"

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

// Waking a thread costs about as much as clearing this much.
constexpr size_t cleared_bytes = 512 << 10;

// Asks memory for the rows to be read and written.
class lookahead {
  public:
    lookahead(const scatter_job& job, std::span<const row_term> terms, size_t begin) noexcept
        : job_(job),
          terms_(terms),
          row_bytes_(job.dim * element_bytes(job.type)),
          distance_(terms_ahead(2 * row_bytes_, ahead_bytes, most_ahead)),
          next_(begin) {}

    // To be called before a row whose terms start at `begin` is summed.
    void advance(size_t begin) noexcept {
        const size_t stop = std::min(begin + distance_, terms_.size());
        next_ = std::max(next_, begin);
        for (; next_ < stop; ++next_) {
            const row_term term = terms_[next_];
            const size_t position = term_position(term);
            const size_t grad = job_.sources == nullptr ? position : job_.sources[position].row;
            const std::byte* from = job_.grads + grad * job_.grad_stride_bytes;
            const std::byte* to = job_.out + term_row(term) * row_bytes_;
            prefetch_row(reinterpret_cast<uintptr_t>(from), row_bytes_);
            // Prefetching a page that does not exist yet does nothing.
            if (job_.state != table_state::untouched) prefetch_row<true>(reinterpret_cast<uintptr_t>(to), row_bytes_);
        }
    }

  private:
    static constexpr size_t ahead_bytes = 8192;
    static constexpr size_t most_ahead = 16;

    const scatter_job& job_;
    std::span<const row_term> terms_;
    size_t row_bytes_;
    size_t distance_;
    size_t next_;
};

// A fresh table costs a page fault for every page of it that is written. A fault for a large page clears 512 small ones
// and takes as long as about 128 small faults, so large pages pay where a quarter of the small ones is written: a fifth
// as counted here, since a row may reach into one page more.
void choose_page_size(const scatter_job& job, std::span<const row_term> terms) noexcept {
    constexpr size_t small = 4096;
    const size_t row_bytes = job.dim * element_bytes(job.type);
    size_t written = 0;
    for (size_t i = 1; i < terms.size(); ++i) written += term_row(terms[i]) != term_row(terms[i - 1]);
    written = (written + 1) * (row_bytes / small + 1);
    const size_t table_bytes = static_cast<size_t>(job.rows) * row_bytes;
    if (written >= table_bytes / small / 5) prefer_huge_pages(job.out, table_bytes);
}

// By the threads that sum next, while the caller does something else. PyTorch's would go on to spin for a while where
// those are to run.
void clear(std::byte* table, size_t bytes, int threads, task_ref meanwhile) {
    const auto clear_part = [&](size_t task) {
        const size_t begin = task * cleared_bytes;
        std::memset(table + begin, 0, std::min(cleared_bytes, bytes - begin));
    };
    parallel_for(threads_for(bytes, threads), task_count(bytes, cleared_bytes), clear_part, meanwhile);
}

}  // namespace

std::optional<bad_id> scatter_rows(const scatter_job& job, int threads) {
    std::optional<sorted_terms> sorted;
    const auto sort = [&](size_t) {
        sorted.emplace(job.ids, job.rows, threads, [&](int64_t id) { return id != job.padding_idx; });
    };
    const size_t table_bytes = static_cast<size_t>(job.rows) * job.dim * element_bytes(job.type);
    clear(job.out, job.state == table_state::anything ? table_bytes : 0, threads, sort);
    if (sorted->bad()) return sorted->bad();
    const std::span<const row_term> terms = sorted->terms();
    if (terms.empty()) return std::nullopt;
    if (job.state == table_state::untouched) choose_page_size(job, terms);

    scatter_kernel* sum = choose(kernels);
    const size_t row_bytes = std::max<size_t>(job.dim * element_bytes(job.type), 1);
    const size_t terms_per_task = std::max<size_t>(task_bytes / row_bytes, 1);
    threads = threads_for(terms.size() * row_bytes, threads);
    std::mutex hot_mutex;
    std::vector<std::span<const row_term>> hot;
    for_each_piece(threads, terms, terms_per_task, [&](size_t, size_t begin, size_t last) {
        lookahead ahead(job, terms, begin);
        while (begin < last) {
            const size_t end = run_end(terms, begin);
            ahead.advance(begin);
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
