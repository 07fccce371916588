// The workspace, grid sizes, and the launches in order.
#include "encode/encode_cuda.h"

#include <algorithm>
#include <bit>

#include "common/launch.h"
#include "common/workspace.h"
#include "encode/encode_kernels.cuh"

namespace embrow {
namespace {

// The end of the text lies in a tile, too.
int64_t tile_count(int64_t text_bytes) {
    return text_bytes / text_tile_bytes + 1;
}

device::token_counts counts_in(workspace_layout& layout, int64_t text_bytes, int64_t rows) {
    const auto tiles = static_cast<size_t>(tile_count(text_bytes));
    const auto offsets = static_cast<size_t>(rows) + 1;
    device::token_counts counts;
    counts.tile_tokens = layout.take<int64_t>(tiles);
    counts.row_tokens = layout.take<int64_t>(offsets);
    counts.tile_row = layout.take<int32_t>(tiles + 1);
    counts.row_rank = layout.take<int32_t>(offsets);
    counts.tile_edge = layout.take<uint8_t>(tiles);
    return counts;
}

device::token_counts counts_at(std::byte* workspace, const packed_text& text) {
    workspace_layout layout(workspace);
    return counts_in(layout, text.size, text.rows);
}

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
    launch_threads(device::write_frames<Id>, threads, device::encode_threads, stream, job, cut, lanes_log2, segments,
                   segment);
}

}  // namespace

size_t encode_workspace_bytes(int64_t text_bytes, int64_t rows) {
    workspace_layout layout(nullptr);
    counts_in(layout, text_bytes, rows);
    return layout.bytes();
}

void count_tokens_cuda(const packed_text& text, const row_frame& frame, int64_t* lengths, encode_facts* facts,
                       std::byte* workspace, cudaStream_t stream) {
    const int64_t tiles = tile_count(text.size);
    const device::token_counts counts = counts_at(workspace, text);
    launch(device::count_tokens, ceil_div(tiles, device::count_warps), device::count_warps * device::warp_lanes, stream,
           text, tiles, counts, facts);
    launch(device::sum_tiles, 1, device::sum_threads, stream, counts.tile_tokens, tiles);
    launch_threads(device::measure_rows, text.rows + 1, device::encode_threads, stream, text, counts, cut_of(frame),
                   lengths, facts);
}

template <class Id>
void encode_padded_cuda(const device_table& table, const packed_text& text, const row_frame& frame, int32_t unk_id,
                        const pad_layout<Id>& layout, const int64_t* lengths, encode_facts* facts, Id* out,
                        std::byte* workspace, cudaStream_t stream) {
    if (text.rows == 0) return;
    const int64_t tiles = tile_count(text.size);
    const device::token_counts counts = counts_at(workspace, text);
    const device::row_cut cut = cut_of(frame);
    const device::frame_job<Id> rows{layout, frame, lengths, text.rows, out};
    launch_frames(rows, cut, stream);
    const device::encode_job<Id> job{text, table, counts, rows, cut, unk_id, facts};
    launch(device::write_ids<Id>, ceil_div(tiles, device::write_warps), device::write_warps * device::warp_lanes,
           stream, job, tiles);
}

template void encode_padded_cuda(const device_table&, const packed_text&, const row_frame&, int32_t,
                                 const pad_layout<int32_t>&, const int64_t*, encode_facts*, int32_t*, std::byte*,
                                 cudaStream_t);
template void encode_padded_cuda(const device_table&, const packed_text&, const row_frame&, int32_t,
                                 const pad_layout<int64_t>&, const int64_t*, encode_facts*, int64_t*, std::byte*,
                                 cudaStream_t);

}  // namespace embrow
