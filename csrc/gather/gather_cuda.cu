// Which kernel, in which chunks, on how many blocks.
#include "gather/gather_cuda.h"

#include <algorithm>
#include <bit>

#include "common/launch.h"
#include "gather/gather_kernels.cuh"

namespace embrow {
namespace {

// Long rows are split over warps in runs of about this size: enough to pay for looking the ids up, and few large rows
// still occupy many multiprocessors.
constexpr int64_t segment_bytes = 2048;

template <class... Parameters, class... Arguments>
void launch_warps(void (*kernel)(Parameters...), int64_t warps, cudaStream_t stream, Arguments... arguments) {
    launch(kernel, ceil_div(warps, device::block_warps), device::block_threads, stream, arguments...);
}

template <class Chunk>
void gather_chunks(const gather_job& job, id_fault* fault, cudaStream_t stream) {
    const auto count = static_cast<int64_t>(job.ids.count);
    const auto chunks = static_cast<int64_t>(job.table.row_bytes / sizeof(Chunk));
    if (chunks <= device::warp_lanes) {
        const int lanes_log2 = std::bit_width(static_cast<unsigned>(std::max<int64_t>(chunks, 1) - 1));
        const int64_t tile = (device::warp_lanes >> lanes_log2) * device::rows_in_flight;
        launch_warps(device::gather_short<Chunk>, ceil_div(count, tile), stream, job, fault, lanes_log2);
        return;
    }
    const int64_t segments = ceil_div(chunks, segment_bytes / static_cast<int64_t>(sizeof(Chunk)));
    const int64_t segment_chunks = ceil_div(chunks, segments);
    const int64_t warps = ceil_div(count, device::rows_in_flight) * segments;
    launch_warps(device::gather_long<Chunk>, warps, stream, job, fault, segments, segment_chunks);
}

}  // namespace

void gather_rows_cuda(const row_table& table, const id_list& ids, std::byte* out, id_fault* fault,
                      cudaStream_t stream) {
    if (ids.count == 0) return;
    const gather_job job{.table = table, .ids = ids, .out = out};
    const uint64_t together = reinterpret_cast<uintptr_t>(table.data) | reinterpret_cast<uintptr_t>(out) |
                              static_cast<uint64_t>(table.stride_bytes) | table.row_bytes;
    if (together % 16 == 0) return gather_chunks<uint4>(job, fault, stream);
    if (together % 8 == 0) return gather_chunks<unsigned long long>(job, fault, stream);
    if (together % 4 == 0) return gather_chunks<unsigned>(job, fault, stream);
    if (together % 2 == 0) return gather_chunks<unsigned short>(job, fault, stream);
    gather_chunks<unsigned char>(job, fault, stream);
}

}  // namespace embrow
