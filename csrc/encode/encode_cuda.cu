// The workspace's parts, grid sizes, and the launches in order.
#include "encode/encode_cuda.h"

#include <algorithm>
#include <bit>
#include <cub/device/device_scan.cuh>

#include "common/launch.h"
#include "encode/encode_kernels.cuh"

namespace embrow {
namespace {

// The end of the text lies in a tile, too.
int64_t tile_count(int64_t text_bytes) {
    return text_bytes / text_tile_bytes + 1;
}

size_t scan_bytes(int64_t tiles) {
    size_t bytes = 0;
    auto* const none = static_cast<int64_t*>(nullptr);
    EMBROW_CUDA_CHECK(cub::DeviceScan::ExclusiveSum(nullptr, bytes, none, none, tiles));
    return bytes;
}

struct encode_workspace {
    device::token_counts counts;
    std::byte* scan;
    size_t bytes;

    encode_workspace(std::byte* from, int64_t text_bytes, int64_t rows) : bytes(0) {
        const int64_t tiles = tile_count(text_bytes);
        counts.tile_tokens = take<int64_t>(from, tiles);
        counts.row_tokens = take<int64_t>(from, rows + 1);
        counts.tile_row = take<int32_t>(from, tiles + 1);
        counts.row_rank = take<int32_t>(from, rows + 1);
        scan = take<std::byte>(from, static_cast<int64_t>(scan_bytes(tiles)));
    }

  private:
    template <class T>
    T* take(std::byte* from, int64_t count) {
        constexpr size_t alignment = 16;
        T* const taken = from ? reinterpret_cast<T*>(from + bytes) : nullptr;
        bytes += (static_cast<size_t>(count) * sizeof(T) + alignment - 1) / alignment * alignment;
        return taken;
    }
};

device::row_cut cut_of(const row_frame& frame) {
    device::row_cut cut{frame.bos_id != no_id, frame.eos_id != no_id, frame.truncate_left, INT64_MAX};
    if (frame.max_length >= 0) cut.most = frame.max_length - static_cast<int>(cut.bos) - static_cast<int>(cut.eos);
    return cut;
}

template <class Id>
void launch_frames(const device::frame_job<Id>& job, const device::row_cut& cut, cudaStream_t stream) {
    constexpr int64_t segment = 1024;
    const auto width = static_cast<int64_t>(job.layout.width);
    if (width == 0) return;
    const int64_t segments = ceil_div(width, segment);
    const int lanes_log2 = std::bit_width(static_cast<unsigned>(std::min<int64_t>(width, device::warp_lanes) - 1));
    const int64_t threads = job.rows * segments << lanes_log2;
    launch(device::write_frames<Id>, ceil_div(threads, device::encode_threads), device::encode_threads, stream, job,
           cut, lanes_log2, segments, segment);
}

}  // namespace

size_t encode_workspace_bytes(int64_t text_bytes, int64_t rows) {
    return encode_workspace(nullptr, text_bytes, rows).bytes;
}

void count_tokens_cuda(const packed_text& text, const row_frame& frame, int64_t* lengths, encode_facts* facts,
                       std::byte* workspace, cudaStream_t stream) {
    const int64_t tiles = tile_count(text.size);
    const encode_workspace parts(workspace, text.size, text.rows);
    launch(device::count_tokens, ceil_div(tiles, device::encode_warps), device::encode_threads, stream, text, tiles,
           parts.counts, facts);
    size_t bytes = scan_bytes(tiles);
    EMBROW_CUDA_CHECK(cub::DeviceScan::ExclusiveSum(parts.scan, bytes, parts.counts.tile_tokens,
                                                    parts.counts.tile_tokens, tiles, stream));
    launch(device::measure_rows, ceil_div(text.rows + 1, device::encode_threads), device::encode_threads, stream, text,
           parts.counts, cut_of(frame), lengths, facts);
}

template <class Id>
void encode_padded_cuda(const device_table& table, const packed_text& text, const row_frame& frame, int32_t unk_id,
                        const pad_layout<Id>& layout, const int64_t* lengths, encode_facts* facts, Id* out,
                        std::byte* workspace, cudaStream_t stream) {
    if (text.rows == 0) return;
    const int64_t tiles = tile_count(text.size);
    const encode_workspace parts(workspace, text.size, text.rows);
    const device::row_cut cut = cut_of(frame);
    const device::frame_job<Id> rows{layout, frame, lengths, text.rows, out};
    launch_frames(rows, cut, stream);
    const device::encode_job<Id> job{text, table, parts.counts, rows, cut, unk_id, facts};
    launch(device::write_ids<Id>, ceil_div(tiles, device::encode_warps), device::encode_threads, stream, job, tiles);
}

template void encode_padded_cuda(const device_table&, const packed_text&, const row_frame&, int32_t,
                                 const pad_layout<int32_t>&, const int64_t*, encode_facts*, int32_t*, std::byte*,
                                 cudaStream_t);
template void encode_padded_cuda(const device_table&, const packed_text&, const row_frame&, int32_t,
                                 const pad_layout<int64_t>&, const int64_t*, encode_facts*, int64_t*, std::byte*,
                                 cudaStream_t);

}  // namespace embrow
