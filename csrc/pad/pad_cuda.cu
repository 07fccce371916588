// How many lanes take a row, in which segments.
#include "pad/pad_cuda.h"

#include <algorithm>
#include <bit>

#include "common/launch.h"
#include "pad/pad_kernels.cuh"

namespace embrow {

void check_ragged_cuda(const ragged_ids& ids, bool to_int32, ragged_facts* facts, cudaStream_t stream) {
    const bool looks = to_int32 && ids.is_int64;
    launch(device::clear_facts, 1, 1, stream, facts);
    const int64_t threads = std::max(ids.rows, looks ? ids.count : 0);
    if (threads == 0) return;
    launch_threads(device::check_ragged, threads, device::pad_threads, stream, ids, looks, facts);
}

template <class Id>
void pad_rows_cuda(const ragged_ids& ids, const pad_layout<Id>& layout, int64_t kept, bool truncate_left, Id* out,
                   int64_t* lengths, cudaStream_t stream) {
    if (ids.rows == 0) return;
    constexpr int64_t segment_slots = 256;  // 4 KB: a few very wide rows still occupy many multiprocessors
    // A row that begins within a slot lies in one more.
    const int64_t slots = ceil_div(static_cast<int64_t>(layout.width), device::slot_ids<Id>) + 1;
    const int lanes_log2 = std::bit_width(static_cast<unsigned>(std::min<int64_t>(slots, device::warp_lanes) - 1));
    const int64_t segments = ceil_div(slots, segment_slots);
    const device::pad_job<Id> job{ids, layout, kept, truncate_left, out, lengths, lanes_log2, segments, segment_slots};
    const int64_t threads = ids.rows * segments << lanes_log2;
    launch_threads(ids.is_int64 ? device::pad_rows<Id, int64_t> : device::pad_rows<Id, int32_t>, threads,
                   device::pad_threads, stream, job);
}

template void pad_rows_cuda(const ragged_ids&, const pad_layout<int32_t>&, int64_t, bool, int32_t*, int64_t*,
                            cudaStream_t);
template void pad_rows_cuda(const ragged_ids&, const pad_layout<int64_t>&, int64_t, bool, int64_t*, int64_t*,
                            cudaStream_t);

}  // namespace embrow
