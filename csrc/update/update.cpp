#include "update/update.h"

#include <algorithm>
#include <atomic>
#include <memory>

#include "common/sorted_terms.h"
#include "common/threads.h"
#include "common/variant.h"

namespace embrow {
namespace {

// Waking a thread costs about as much as updating this much.
constexpr size_t task_bytes = 256 << 10;

constexpr candidate<update_kernel> kernels[] = {
#if defined(__x86_64__)
    {variant::avx512, update_rows_avx512},
    {variant::avx2, update_rows_avx2},
#endif
    {variant::serial, update_rows_serial},
};

bool is_trained(const update_job& job, int64_t row) noexcept {
    return job.trained == nullptr || job.trained[row];
}

size_t rows_per_task(const update_job& job) noexcept {
    return std::max<size_t>(task_bytes / std::max<size_t>(job.dim * element_bytes(job.type), 1), 1);
}

void update_terms(const update_job& job, std::span<const row_term> terms, bool has_grads, int threads) {
    update_kernel* update = choose(kernels);
    threads = threads_for(terms.size() * job.dim * element_bytes(job.type), threads);
    const size_t per_task = rows_per_task(job);
    const size_t sums_bytes = has_grads ? job.dim * std::max(element_bytes(job.type), sizeof(float)) : 0;
    // For every piece, before anything is written.
    const auto sums = std::make_unique_for_overwrite<std::byte[]>(task_count(terms.size(), per_task) * sums_bytes);
    for_each_piece(threads, terms, per_task, [&](size_t piece, size_t begin, size_t end) {
        update(job, terms, begin, end, has_grads, sums.get() + piece * sums_bytes);
    });
}

}  // namespace

std::optional<bad_id> update_rows(const update_job& job, int threads) {
    const sorted_terms sorted(job.ids, job.rows, threads, [&](int64_t id) { return is_trained(job, id); });
    update_terms(job, sorted.terms(), true, threads);
    return sorted.bad();
}

caught_up catch_up_ids(const update_job& job, int threads) {
    const int64_t now = job.clock.step();
    const sorted_terms sorted(job.ids, job.rows, threads,
                              [&](int64_t id) { return job.row_steps[id] != now && is_trained(job, id); });
    const std::span<const row_term> terms = sorted.terms();
    caught_up result{.bad = sorted.bad()};
    for (size_t i = 0; i < terms.size(); ++i) result.rows += i == 0 || term_row(terms[i]) != term_row(terms[i - 1]);
    update_terms(job, terms, false, threads);
    return result;
}

size_t catch_up_all(const update_job& job, int threads) {
    update_kernel* update = choose(kernels);
    const auto now = static_cast<int32_t>(job.clock.step());
    const size_t per_task = rows_per_task(job);
    const auto rows = static_cast<size_t>(job.rows);
    std::atomic<size_t> behind = 0;
    parallel_for(threads, task_count(rows, per_task), [&](size_t task) {
        const size_t end = std::min((task + 1) * per_task, rows);
        constexpr size_t chunk = 256;
        row_term terms[chunk];
        size_t kept = 0;
        for (size_t row = task * per_task; row < end; ++row) {
            terms[kept] = make_term(static_cast<int64_t>(row), 0);
            if (is_trained(job, row)) {
                kept += job.row_steps[row] != now;
            } else {
                job.row_steps[row] = now;
            }
            if (kept == chunk || (row + 1 == end && kept > 0)) {
                update(job, {terms, kept}, 0, kept, false, nullptr);
                behind.fetch_add(kept, std::memory_order_relaxed);
                kept = 0;
            }
        }
    });
    return behind.load();
}

}  // namespace embrow
