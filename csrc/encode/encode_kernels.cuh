// Device code of encoding; encode_cuda.h is the contract, encode_cuda.cu launches it in this order.
//
//     count_tokens    a warp to a tile     -> the tile's tokens; for each row that begins in it, the tokens before that
//     sum_tiles       one block            -> the tokens before each tile
//     measure_rows    a thread to a row    -> the tokens before each row, lengths, the longest
//     write_frames    lanes to a row       -> bos, eos and padding
//     write_ids       a warp to a tile     -> ids, one token to a lane, each where its number less its row's says
//
// So the text is read twice, but for a few sectors in a thousand that two blocks need, and each id is written once. A
// tile that has only tokens which their row does not keep is read once.
#pragma once

#include <cstdint>
#include <cub/block/block_scan.cuh>

#include "encode/encode_tiles.cuh"
#include "vocab/vocab_kernels.cuh"

namespace embrow::device {

constexpr int encode_threads = 128;  // of kernels for which it does not matter
// Many tiles to a block, as its ends are read twice, in shared memory of at most 48 KiB; ids need lists beside the
// text.
constexpr int count_warps = 16;
constexpr int write_warps = 8;
constexpr int write_blocks_resident = 4;  // allows 64 registers, with which nothing is spilled

// What count_tokens finds of the text, in the workspace.
struct token_counts {
    int64_t* tile_tokens;  // tiles; later, of all tiles before
    int32_t* tile_row;     // tiles + 1: how many of the offsets lie before the tile
    uint8_t* tile_edge;    // tiles: see edge_of
    int32_t* row_rank;     // rows + 1: the tile's tokens before the row
    int64_t* row_tokens;   // rows + 1: all tokens before the row
};

// How many of the offsets, which rise, are less than `at`.
__device__ inline int64_t offsets_before(const packed_text& text, int64_t at) {
    int64_t low = 0;
    int64_t high = text.rows + 1;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (__ldg(text.offsets + middle) < at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

__global__ void __launch_bounds__(count_warps* warp_lanes)
    count_tokens(packed_text text, int64_t tiles, token_counts counts, encode_facts* facts) {
    __shared__ text_window<count_warps> window;
    __shared__ uint64_t lane_starts[count_warps][warp_lanes];
    __shared__ int lane_ranks[count_warps][warp_lanes];
    const auto warp = static_cast<int>(threadIdx.x / warp_lanes);
    const auto lane = static_cast<int>(threadIdx.x % warp_lanes);
    const int64_t first_tile = static_cast<int64_t>(blockIdx.x) * count_warps;
    const int64_t tile = first_tile + warp;
    if (tile == 0 && lane == 0) *facts = {0, -1};  // before the launches that change them

    load_window(text, first_tile * text_tile_bytes - tiles_from, all_tiles, window);
    if (tile >= tiles) return;
    const int64_t first_row = offsets_before(text, tile * text_tile_bytes);
    const uint32_t edge = edge_of(window, warp);
    const uint64_t starts = token_starts(text, tile, first_row, warp, edge, window);
    const int here = __popcll(starts);
    const int up_to_here = sum_to_lane(here);
    lane_starts[warp][lane] = starts;
    lane_ranks[warp][lane] = up_to_here - here;
    __syncwarp();
    for_each_begin(text, tile, first_row, [&](int64_t row, int at) {
        const uint64_t before = lane_starts[warp][at / 64] & ((uint64_t{1} << at % 64) - 1);
        counts.row_rank[row] = lane_ranks[warp][at / 64] + __popcll(before);
    });
    if (lane == 0) {
        counts.tile_row[tile] = static_cast<int32_t>(first_row);
        counts.tile_edge[tile] = static_cast<uint8_t>(edge);
    }
    if (lane == warp_lanes - 1) {
        counts.tile_tokens[tile] = up_to_here;
        if (tile == tiles - 1) counts.tile_row[tiles] = static_cast<int32_t>(text.rows + 1);
    }
}

constexpr int sum_threads = 512;
constexpr int sum_tiles_each = 2;

// Counts of tiles become the sums of those before. One block, as there are 8 bytes of them to 2048 of text.
__global__ void __launch_bounds__(sum_threads) sum_tiles(int64_t* tile_tokens, int64_t tiles) {
    using block_scan = cub::BlockScan<int64_t, sum_threads>;
    __shared__ typename block_scan::TempStorage storage;
    int64_t before = 0;
    for (int64_t first = threadIdx.x * sum_tiles_each; first - threadIdx.x * sum_tiles_each < tiles;
         first += sum_threads * sum_tiles_each) {
        int64_t counts[sum_tiles_each];
#pragma unroll
        for (int i = 0; i < sum_tiles_each; ++i) counts[i] = first + i < tiles ? tile_tokens[first + i] : 0;
        int64_t sum;
        block_scan(storage).ExclusiveSum(counts, counts, sum);
#pragma unroll
        for (int i = 0; i < sum_tiles_each; ++i) {
            if (first + i < tiles) tile_tokens[first + i] = before + counts[i];
        }
        before += sum;
        __syncthreads();  // before storage is used again
    }
}

// What a row keeps of its tokens, between bos and eos.
struct row_cut {
    bool bos;
    bool eos;
    bool left;
    int64_t most;  // tokens

    __device__ int64_t kept(int64_t tokens) const { return min(tokens, most); }
    __device__ int framing() const { return static_cast<int>(bos) + static_cast<int>(eos); }
};

__global__ void __launch_bounds__(encode_threads)
    measure_rows(packed_text text, token_counts counts, row_cut cut, int64_t* lengths, encode_facts* facts) {
    const int64_t row = thread_index();
    const auto tokens_before = [&](int64_t of) {
        return counts.tile_tokens[__ldg(text.offsets + of) / text_tile_bytes] + counts.row_rank[of];
    };
    int64_t length = 0;
    if (row <= text.rows) {
        const int64_t first = tokens_before(row);
        counts.row_tokens[row] = first;
        if (row < text.rows) {
            length = cut.kept(tokens_before(row + 1) - first) + cut.framing();
            lengths[row] = length;
        }
    }
    for (int distance = warp_lanes / 2; distance > 0; distance /= 2) {
        length = max(length, static_cast<int64_t>(__shfl_xor_sync(all_lanes, length, distance)));
    }
    if (threadIdx.x % warp_lanes == 0) {
        atomicMax(reinterpret_cast<unsigned long long*>(&facts->longest), static_cast<unsigned long long>(length));
    }
}

template <class Id>
struct frame_job {
    pad_layout<Id> layout;
    row_frame frame;
    const int64_t* lengths;
    int64_t rows;
    Id* out;

    // Where a row's first id is.
    __device__ int64_t lead(int64_t length) const {
        return layout.left ? static_cast<int64_t>(layout.width) - length : 0;
    }
};

// Groups of 1 << lanes_log2 lanes each take `segment` of a row's cells that hold no token.
template <class Id>
__global__ void __launch_bounds__(encode_threads)
    write_frames(frame_job<Id> job, row_cut cut, int lanes_log2, int64_t segments, int64_t segment) {
    const int64_t thread = thread_index();
    const int64_t group = thread >> lanes_log2;
    const int64_t row = group / segments;
    if (row >= job.rows) return;
    const int64_t length = __ldg(job.lengths + row);
    const int64_t tokens = length - cut.framing();
    const int64_t lead = job.lead(length);
    const int64_t first_token = lead + static_cast<int>(cut.bos);
    const int64_t bos_at = cut.bos ? lead : -1;
    const int64_t eos_at = cut.eos ? first_token + tokens : -1;
    const auto width = static_cast<int64_t>(job.layout.width);
    const int64_t begin = group % segments * segment;
    const int64_t end = min(begin + segment, width - tokens);
    for (int64_t cell = begin + (thread & ((1 << lanes_log2) - 1)); cell < end; cell += 1 << lanes_log2) {
        const int64_t column = cell < first_token ? cell : cell + tokens;
        const Id id = column == bos_at   ? static_cast<Id>(job.frame.bos_id)
                      : column == eos_at ? static_cast<Id>(job.frame.eos_id)
                                         : job.layout.value;
        __stcs(job.out + row * width + column, id);
    }
}

// Where a token ends that starts at `start` of the window: at white space or its row's end, `row_end` of the window,
// which may lie behind what is loaded, up to `loaded`. Text beyond that is read no further than shows that the token is
// longer than any.
__device__ inline int64_t token_end(const packed_text& text, const uint32_t* window_spaces, int64_t window_begin,
                                    int start, int loaded, int64_t row_end, int64_t longest) {
    const int known = loaded - 2;
    const int in_window = static_cast<int>(min(row_end, static_cast<int64_t>(known)));
    uint32_t spaces = window_spaces[start / 32] >> start % 32 << start % 32;
    for (int word = start / 32;;) {
        const int found = spaces == 0 ? 32 : __ffs(static_cast<int>(spaces)) - 1;
        if (found < 32 && word * 32 + found < in_window) return word * 32 + found;
        if (found < 32 || ++word * 32 >= in_window) break;
        spaces = window_spaces[word];
    }
    const int64_t end = min(row_end, start + longest + 1);
    const auto* const bytes = reinterpret_cast<const unsigned char*>(text.bytes) + window_begin;
    for (int64_t at = in_window; at < end; ++at) {
        const unsigned byte = __ldg(bytes + at);
        if (byte < 0x80) {
            if (ascii_spaces(byte) & 1) return at;
        } else if (byte == 0xc2 ? wide_space(byte, __ldg(bytes + at + 1), 0) != 0
                                : byte >= 0xe1 && byte <= 0xe3 &&
                                      wide_space(byte, __ldg(bytes + at + 1), __ldg(bytes + at + 2)) != 0) {
            return at;
        }
    }
    return end;
}

template <class Id>
struct encode_job {
    packed_text text;
    device_table table;
    token_counts counts;
    frame_job<Id> rows;
    row_cut cut;
    int32_t unk_id;
    encode_facts* facts;

    __device__ bool looks_for_unknown() const { return unk_id == no_id; }
};

// The row, of [low, high], in which byte `at` of the text lies.
__device__ inline int64_t row_of(const packed_text& text, int64_t at, int64_t low, int64_t high) {
    while (low < high) {
        const int64_t middle = (low + high + 1) / 2;
        if (__ldg(text.offsets + middle) <= at) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

template <class Id>
__global__ void __launch_bounds__(write_warps* warp_lanes, write_blocks_resident)
    write_ids(encode_job<Id> job, int64_t tiles) {
    // Of a tile's tokens, of which there are more only where rows of a byte follow one another.
    constexpr int list_tokens = text_tile_bytes / 2;
    __shared__ text_window<write_warps> window;
    __shared__ uint16_t start_lists[write_warps][list_tokens];
    __shared__ bool wants[write_warps];
    const auto warp = static_cast<int>(threadIdx.x / warp_lanes);
    const auto lane = static_cast<int>(threadIdx.x % warp_lanes);
    const int64_t first_tile = static_cast<int64_t>(blockIdx.x) * write_warps;
    const int64_t tile = min(first_tile + warp, tiles - 1);

    // The row that the tile before ends in, and the last one that begins in this one.
    const int64_t first_row = max(job.counts.tile_row[tile] - 1, 0);
    const int64_t last_row = job.counts.tile_row[tile + 1] - 1;
    const int64_t tokens_before = job.counts.tile_tokens[tile];
    // A token's place among those that its row keeps, which may lie outside of them.
    const auto place_in = [&](int64_t row, int64_t number) {
        const int64_t first = job.counts.row_tokens[row];
        if (!job.cut.left) return number - first;
        const int64_t tokens = job.counts.row_tokens[row + 1] - first;
        return number - first - (tokens - job.cut.kept(tokens));
    };
    bool wanted = first_tile + warp < tiles;
    if (wanted && !job.looks_for_unknown() && first_row == last_row) {
        const int64_t first = place_in(first_row, tokens_before);
        wanted = first < job.cut.most && first + text_tile_bytes > 0;
    }
    if (lane == 0) wants[warp] = wanted;
    __syncthreads();
    const tile_set all_wanted = __ballot_sync(all_lanes, lane < write_warps && wants[lane % write_warps]) << 1;
    if (all_wanted == 0) return;
    const int64_t window_begin = first_tile * text_tile_bytes - tiles_from;
    load_window(job.text, window_begin, all_wanted, window);
    if (!wanted) return;

    uint16_t* const list = start_lists[warp];
    const uint64_t starts =
        token_starts(job.text, tile, job.counts.tile_row[tile], warp, job.counts.tile_edge[tile], window);
    const int here = __popcll(starts);
    const int up_to_here = sum_to_lane(here);
    const int count = __shfl_sync(all_lanes, up_to_here, warp_lanes - 1);
    const int tiles_on = __ffs(static_cast<int>(~(all_wanted >> 1 >> warp))) - 1;
    const int loaded = window.tile_from(warp + tiles_on) + sector_bytes;
    const auto width = static_cast<int64_t>(job.rows.layout.width);
    for (int listed = 0; listed < count; listed += list_tokens) {
        int at = up_to_here - here - listed;
        for (uint64_t left = starts; left != 0; left &= left - 1, ++at) {
            if (at < 0 || at >= list_tokens) continue;
            list[at] = static_cast<uint16_t>(lane * 64 + __ffsll(static_cast<long long>(left)) - 1);
        }
        __syncwarp();
        for (int token = listed + lane; token < min(count, listed + list_tokens); token += warp_lanes) {
            const int start = window.tile_from(warp) + list[token - listed];
            const int64_t row = row_of(job.text, window_begin + start, first_row, last_row);
            const int64_t place = place_in(row, tokens_before + token);
            const bool kept = place >= 0 && place < job.cut.most;
            if (!kept && !job.looks_for_unknown()) continue;
            const int64_t row_end = __ldg(job.text.offsets + row + 1) - window_begin;
            const int64_t end =
                token_end(job.text, window.spaces, window_begin, start, loaded, row_end, job.table.longest);
            const char* const bytes = end <= loaded ? window.bytes() + start : job.text.bytes + window_begin + start;
            int32_t id = find_token(job.table, bytes, end - start);
            if (id == no_id) {
                id = job.unk_id;
                if (job.looks_for_unknown()) {
                    atomicMin(reinterpret_cast<unsigned long long*>(&job.facts->unknown),
                              static_cast<unsigned long long>(window_begin + start));
                }
            }
            if (!kept) continue;
            const int64_t lead = job.rows.lead(__ldg(job.rows.lengths + row)) + static_cast<int>(job.cut.bos);
            __stcs(job.rows.out + row * width + lead + place, static_cast<Id>(id));
        }
        __syncwarp();
    }
}

}  // namespace embrow::device
