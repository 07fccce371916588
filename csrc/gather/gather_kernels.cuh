// Device code of the gather; gather_cuda.h is the contract, gather_cuda.cu chooses the kernel.
//
// A row moves in chunks of 1 to 16 bytes, as many as all addresses are multiples of. Rows of up to 32 chunks are copied
// by groups of lanes, the smallest power of two that covers a row; neighbouring groups take neighbouring rows, and each
// group has four rows under way. 80 bytes, 5 chunks of 16, so 8 lanes to a row:
//
//     lane     0 1 2 3 4 . . . | 0 1 2 3 4 . . . | 0 1 2 3 4 . . . | 0 1 2 3 4 . . .
//     step 0   row 0           | row 1           | row 2           | row 3
//     step 1   row 4           | row 5           | row 6           | row 7
//
// Longer rows are copied by whole warps, four rows side by side, cut where memory is: at its sectors of 32 bytes.
#pragma once

#include <cstdint>

#include "common/ids.cuh"
#include "gather/gather_cuda.h"

namespace embrow::device {

constexpr int block_threads = 128;  // small, so that few rows still reach many multiprocessors
constexpr int block_warps = block_threads / warp_lanes;
constexpr int blocks_resident = 8;  // or more: allows 64 registers, with which nothing is spilled
constexpr int rows_in_flight = 4;

__device__ inline int64_t warp_index() {
    return static_cast<int64_t>(blockIdx.x) * block_warps + threadIdx.x / warp_lanes;
}

// Rows of at most 32 chunks, 1 << lanes_log2 lanes to a row.
template <class Chunk>
__global__ void __launch_bounds__(block_threads, blocks_resident)
    gather_short(gather_job job, id_fault* fault, int lanes_log2) {
    const auto lane = static_cast<int>(threadIdx.x % warp_lanes);
    const int groups = warp_lanes >> lanes_log2;
    const int tile = groups * rows_in_flight;
    const auto count = static_cast<int64_t>(job.ids.count);
    const int64_t first = warp_index() * tile;
    if (first >= count) return;

    int64_t ids[rows_in_flight];
#pragma unroll
    for (int part = 0; part < rows_in_flight; ++part) {
        const int slot = part * warp_lanes + lane;
        ids[part] = part * warp_lanes < tile
                        ? checked_id(job.ids, job.table.rows, fault, slot < tile ? first + slot : count, true)
                        : -1;
    }

    const int group = lane >> lanes_log2;
    const int64_t within = (lane & ((1 << lanes_log2) - 1)) * static_cast<int64_t>(sizeof(Chunk));
    const bool covered = within < static_cast<int64_t>(job.table.row_bytes);
    Chunk chunks[rows_in_flight];
#pragma unroll
    for (int step = 0; step < rows_in_flight; ++step) {
        // The tile's ids fill one register per lane, two for 16 groups, four for 32.
        const int64_t held = groups == 32 ? ids[step] : groups == 16 ? ids[step / 2] : ids[0];
        const int64_t id = __shfl_sync(all_lanes, held, (step * groups + group) % warp_lanes);
        chunks[step] = Chunk{};
        if (id >= 0 && covered) {
            chunks[step] = __ldg(reinterpret_cast<const Chunk*>(job.table.data + id * job.table.stride_bytes + within));
        }
    }
#pragma unroll
    for (int step = 0; step < rows_in_flight; ++step) {
        const int64_t row = first + step * groups + group;
        if (row < count && covered) {
            __stcs(reinterpret_cast<Chunk*>(job.out + row * static_cast<int64_t>(job.table.row_bytes) + within),
                   chunks[step]);
        }
    }
}

// How many chunks `address` lies behind the start of its sector.
template <class Chunk>
__device__ inline int phase(const void* address) {
    return static_cast<int>(reinterpret_cast<uintptr_t>(address) % sector_bytes / sizeof(Chunk));
}

// A run of chunks of one row: where from, where to, and how lanes are laid over it.
template <class Chunk>
struct run {
    const Chunk* from;  // null for a bad id: the row is zero
    Chunk* to;          // null beyond the last row
    int length;
    int from_phase;
    int to_phase;

    __device__ Chunk load(int at) const {
        at -= from_phase;
        return from != nullptr && at >= 0 && at < length ? __ldg(from + at) : Chunk{};
    }
    __device__ void store(int at, Chunk chunk) const {
        at -= to_phase;
        if (to != nullptr && at >= 0 && at < length) __stcs(to + at, chunk);
    }
};

// Rows of more than 32 chunks. A warp takes `segment_chunks` of each of four rows, `segments` warps a row.
template <class Chunk>
__global__ void __launch_bounds__(block_threads, blocks_resident)
    gather_long(gather_job job, id_fault* fault, int64_t segments, int64_t segment_chunks) {
    const auto lane = static_cast<int>(threadIdx.x % warp_lanes);
    const auto count = static_cast<int64_t>(job.ids.count);
    const int64_t segment = warp_index() % segments;
    const int64_t first = warp_index() / segments * rows_in_flight;
    if (first >= count) return;
    const int64_t held =
        checked_id(job.ids, job.table.rows, fault, lane < rows_in_flight ? first + lane : count, segment == 0);

    const int64_t row_chunks = static_cast<int64_t>(job.table.row_bytes / sizeof(Chunk));
    const int64_t begin = segment * segment_chunks;
    const int64_t within = begin * static_cast<int64_t>(sizeof(Chunk));
    const int length = static_cast<int>(min(segment_chunks, row_chunks - begin));
    run<Chunk> runs[rows_in_flight];
#pragma unroll
    for (int step = 0; step < rows_in_flight; ++step) {
        const int64_t id = __shfl_sync(all_lanes, held, step);
        const int64_t row = first + step;
        const std::byte* from = id < 0 ? nullptr : job.table.data + id * job.table.stride_bytes + within;
        std::byte* to = row < count ? job.out + row * static_cast<int64_t>(job.table.row_bytes) + within : nullptr;
        runs[step] = {reinterpret_cast<const Chunk*>(from), reinterpret_cast<Chunk*>(to), length, phase<Chunk>(from),
                      phase<Chunk>(to)};
    }

    const int end = length + sector_bytes / static_cast<int>(sizeof(Chunk));
    if constexpr (sizeof(Chunk) == 16) {
        // A request is 512 bytes, 16 sectors: where source and target differ in phase, reading one more costs little.
#pragma unroll
        for (int step = 0; step < rows_in_flight; ++step) runs[step].from_phase = runs[step].to_phase;
        for (int at = lane; at - lane < end; at += warp_lanes) {
            Chunk chunks[rows_in_flight];
#pragma unroll
            for (int step = 0; step < rows_in_flight; ++step) chunks[step] = runs[step].load(at);
#pragma unroll
            for (int step = 0; step < rows_in_flight; ++step) runs[step].store(at, chunks[step]);
        }
    } else {
        // Requests are as short as a sector or few, so both sides are cut at sectors, and lanes hand on what they read
        // to the lane that writes it, `turn` below them:
        //
        //     read     . . a b c d e f | g h i j ...     from_phase 2
        //     written  . a b c d e f g | h i j ...       to_phase 1, turn 1
        Chunk behind[rows_in_flight];
#pragma unroll
        for (int step = 0; step < rows_in_flight; ++step) {
            if (runs[step].from_phase < runs[step].to_phase) runs[step].from_phase += warp_lanes;
            behind[step] = runs[step].load(lane);
        }
        for (int at = lane; at - lane < end; at += warp_lanes) {
            Chunk ahead[rows_in_flight];
#pragma unroll
            for (int step = 0; step < rows_in_flight; ++step) ahead[step] = runs[step].load(at + warp_lanes);
#pragma unroll
            for (int step = 0; step < rows_in_flight; ++step) {
                const int turn = runs[step].from_phase - runs[step].to_phase;
                const Chunk passed = lane < turn ? ahead[step] : behind[step];
                const auto handed = __shfl_sync(all_lanes, passed, (lane + turn) % warp_lanes);
                runs[step].store(at, static_cast<Chunk>(handed));
                behind[step] = ahead[step];
            }
        }
    }
}

}  // namespace embrow::device
