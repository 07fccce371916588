// The plain loop of the gather.
#include <cstring>

#include "gather/gather.h"

namespace embrow {
namespace {

template <class Id>
size_t copy_rows(const gather_job& job, size_t first, size_t last) noexcept {
    const auto* ids = static_cast<const Id*>(job.ids.data);
    const row_table& table = job.table;
    for (size_t i = first; i < last; ++i) {
        const int64_t id = ids[i];
        if (id < 0 || id >= table.rows) return i;
        if (table.row_bytes == 0) continue;  // such a table may have no address
        std::memcpy(job.out + i * table.row_bytes, table.data + id * table.stride_bytes, table.row_bytes);
    }
    return last;
}

}  // namespace

size_t gather_copy_serial(const gather_job& job, size_t first, size_t last) noexcept {
    return job.ids.is_int64 ? copy_rows<int64_t>(job, first, last) : copy_rows<int32_t>(job, first, last);
}

}  // namespace embrow
