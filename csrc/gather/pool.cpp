#include "gather/pool.h"

#include <algorithm>

#include "common/first_bad_id.h"
#include "common/huge_pages.h"
#include "common/threads.h"
#include "common/variant.h"

namespace embrow {
namespace {

// So much that the rows a task begins with, which nothing has asked memory for, weigh little. Up to this one thread is
// done by the time another has woken.
constexpr size_t task_bytes = 1 << 20;

constexpr candidate<pool_kernel> kernels[] = {
#if defined(__x86_64__)
    {variant::avx512, pool_bags_avx512},
    {variant::avx2, pool_bags_avx2},
#endif
    {variant::serial, pool_bags_serial},
};

}  // namespace

std::optional<bad_id> pool_bags(const pool_job& job, int threads) {
    if (job.bags.count == 0) return std::nullopt;
    pool_kernel* pool = choose(kernels);
    prefer_huge_pages(job.out, job.bags.count * job.table.row_bytes);
    const size_t bytes = job.ids.count * job.table.row_bytes;
    const size_t tasks = threads <= 1 ? 1 : std::clamp<size_t>(bytes / task_bytes, 1, job.bags.count);
    const size_t per_task = task_count(job.bags.count, tasks);
    first_bad_id bad;
    parallel_for(threads, task_count(job.bags.count, per_task), [&](size_t task) {
        const size_t first = task * per_task;
        const size_t last = std::min(first + per_task, job.bags.count);
        const size_t begin = job.bags.begin(first);
        const auto outside = find_bad_id(job.ids.part(begin, job.bags.end(last - 1)), job.table.rows);
        if (outside) return bad.report(begin + outside->position, outside->value);
        pool(job, first, last);
    });
    return bad.found();
}

bool are_bag_offsets(const id_list& offsets, size_t ids, bool with_end) noexcept {
    if (offsets.count == 0 || offsets[0] != 0) return false;
    for (size_t bag = 1; bag < offsets.count; ++bag) {
        if (offsets[bag] < offsets[bag - 1]) return false;
    }
    const auto last = static_cast<size_t>(offsets[offsets.count - 1]);
    return with_end ? last == ids : last <= ids;
}

}  // namespace embrow
