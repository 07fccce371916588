// Device code: packed text -> tiles of 2048 bytes, one to a warp, and where white space and tokens are in each.
//
//     text      t h e   c a t | r o w b * = bit i for byte i
//     spaces    0 0 0 1 0 0 0   0 0 0 0
//     begins    0 0 0 0 0 0 0   1 0 0 0    of rows; a token does not cross them
//     starts    1 0 0 0 1 0 0   1 0 0 0    ~spaces & (spaces << 1 | begins)
//
// Tiles do not depend on rows: a long row is many warps' work, and many short ones are one's. What a warp sees of the
// text is a window, the tile and a sector of 32 bytes on either side: code points cross tiles, and so do tokens.
#pragma once

#include <cstdint>

#include "common/ids.cuh"
#include "encode/encode_cuda.h"

namespace embrow::device {

constexpr int chunk_bytes = 16;
constexpr int tile_bits_from = 64;  // where in the window the tile begins; half of what is before it is not loaded
constexpr int window_bytes = tile_bits_from + text_tile_bytes + sector_bytes;
constexpr int window_chunks = window_bytes / chunk_bytes;
constexpr int first_chunk = (tile_bits_from - sector_bytes) / chunk_bytes;
constexpr int window_loads = (window_chunks - first_chunk + warp_lanes - 1) / warp_lanes;
static_assert(text_tile_bytes == warp_lanes * 64, "a lane's share of a tile's bits is one word of 64");

struct tile_window {
    ulonglong2 text[window_chunks];
    uint32_t spaces[window_bytes / 32];
    uint32_t begins[text_tile_bytes / 32];

    __device__ const char* bytes() const { return reinterpret_cast<const char*>(text); }
};

// The high bit of each byte to the lowest four bits.
__device__ inline uint32_t high_bits(uint32_t word) {
    return ((word >> 7 & 0x01010101U) * 0x10204080U) >> 28;
}

// Sets the high bit of each byte that is zero.
__device__ inline uint32_t zero_bytes(uint32_t word) {
    return ~(((word & 0x7f7f7f7fU) + 0x7f7f7f7fU) | word) & 0x80808080U;
}

// Of four bytes, which are ASCII white space, 9 to 13 and 28 to 32: sums reach a byte's high bit from a limit on.
__device__ inline uint32_t ascii_spaces(uint32_t word) {
    const uint32_t low = word & 0x7f7f7f7fU;
    const uint32_t from_9_to_13 = (low + 0x77777777U) & ~(low + 0x72727272U);
    const uint32_t from_28_to_32 = (low + 0x64646464U) & ~(low + 0x5f5f5f5fU);
    return high_bits((from_9_to_13 | from_28_to_32) & ~word);
}

// Of four bytes, which begin code points among which there are spaces: C2 and E0 to E3.
__device__ inline uint32_t space_leads(uint32_t word) {
    return high_bits(zero_bytes(word ^ 0xc2c2c2c2U) | zero_bytes((word & 0xfcfcfcfcU) ^ 0xe0e0e0e0U));
}

// Of 16 bytes, those for which `which` sets bits of four.
template <class Which>
__device__ inline uint32_t chunk_bits(const ulonglong2& chunk, Which which) {
    return which(static_cast<uint32_t>(chunk.x)) | which(static_cast<uint32_t>(chunk.x >> 32)) << 4 |
           which(static_cast<uint32_t>(chunk.y)) << 8 | which(static_cast<uint32_t>(chunk.y >> 32)) << 12;
}

// Bytes of the white space beyond ASCII that begins with these of valid UTF-8, or 0: U+0085, U+00A0, U+1680, U+2000 to
// U+200A, U+2028, U+2029, U+202F, U+205F, U+3000.
__device__ inline int wide_space(unsigned a, unsigned b, unsigned c) {
    if (a == 0xc2) return b == 0x85 || b == 0xa0 ? 2 : 0;
    const bool found = (a == 0xe1 && b == 0x9a && c == 0x80) ||
                       (a == 0xe2 && b == 0x80 && (c <= 0x8a || c == 0xa8 || c == 0xa9 || c == 0xaf)) ||
                       (a == 0xe2 && b == 0x81 && c == 0x9f) || (a == 0xe3 && b == 0x80 && c == 0x80);
    return found ? 3 : 0;
}

// Loads the window of a tile and finds its spaces; what is outside the text is space. Of the window's last two bytes
// it is not known whether they are. All lanes must call.
__device__ inline void load_window(const packed_text& text, int64_t tile, tile_window& window) {
    const auto lane = static_cast<int>(threadIdx.x % warp_lanes);
    const int64_t window_begin = tile * text_tile_bytes - tile_bits_from;
    uint32_t leads[window_loads];
#pragma unroll
    for (int load = 0; load < window_loads; ++load) {
        const int at = first_chunk + load * warp_lanes + lane;
        const int64_t begin = window_begin + at * chunk_bytes;
        uint32_t spaces = 0xffff;
        leads[load] = 0;
        if (at < window_chunks && begin >= 0 && begin < text.size) {
            const ulonglong2 chunk = __ldg(reinterpret_cast<const ulonglong2*>(text.bytes + begin));
            window.text[at] = chunk;
            spaces = chunk_bits(chunk, ascii_spaces);
            leads[load] = chunk_bits(chunk, space_leads);
            const int64_t present = text.size - begin;
            if (present < chunk_bytes) {
                spaces |= 0xffffU << present & 0xffffU;
                leads[load] &= ~(0xffffU << present);
            }
        }
        const uint32_t next = __shfl_down_sync(all_lanes, spaces, 1);
        if (lane % 2 == 0 && at < window_chunks) window.spaces[at / 2] = spaces | next << 16;
    }
    __syncwarp();
    const auto* const bytes = reinterpret_cast<const unsigned char*>(window.text);
#pragma unroll
    for (int load = 0; load < window_loads; ++load) {
        for (uint32_t left = leads[load]; left != 0; left &= left - 1) {
            const int at = (first_chunk + load * warp_lanes + lane) * chunk_bytes + __ffs(static_cast<int>(left)) - 1;
            if (at + 3 > window_bytes) break;
            const int length = wide_space(bytes[at], bytes[at + 1], bytes[at + 2]);
            if (length == 0) continue;
            const uint64_t found = ((uint64_t{1} << length) - 1) << at % 32;
            atomicOr(&window.spaces[at / 32], static_cast<uint32_t>(found));
            if (found >> 32 != 0) atomicOr(&window.spaces[at / 32 + 1], static_cast<uint32_t>(found >> 32));
        }
    }
    __syncwarp();
}

// Calls each(row, byte of the tile) for every row that begins in the tile, the end of the last row being one more. Rows
// before `first` begin before it.
template <class Each>
__device__ inline void for_each_begin(const packed_text& text, int64_t tile, int64_t first, Each each) {
    const int64_t tile_begin = tile * text_tile_bytes;
    for (int64_t row = first + threadIdx.x % warp_lanes; row <= text.rows; row += warp_lanes) {
        const int64_t at = __ldg(text.offsets + row) - tile_begin;
        if (at >= text_tile_bytes) return;
        each(row, static_cast<int>(at));
    }
}

// Where tokens start in this lane's 64 bytes of a tile. All lanes must call.
__device__ inline uint64_t token_starts(const packed_text& text, int64_t tile, int64_t first, tile_window& window) {
    const auto lane = static_cast<int>(threadIdx.x % warp_lanes);
    window.begins[2 * lane] = window.begins[2 * lane + 1] = 0;
    load_window(text, tile, window);
    for_each_begin(text, tile, first, [&](int64_t, int at) { atomicOr(&window.begins[at / 32], 1U << at % 32); });
    __syncwarp();
    const uint32_t* const spaces = window.spaces + tile_bits_from / 32 + 2 * lane;
    const auto word = [](const uint32_t* halves) { return halves[0] | static_cast<uint64_t>(halves[1]) << 32; };
    const uint64_t here = word(spaces);
    return ~here & (here << 1 | spaces[-1] >> 31 | word(window.begins + 2 * lane));
}

// The sum over this and all lower lanes. All lanes must call.
__device__ inline int sum_to_lane(int value) {
    const auto lane = static_cast<int>(threadIdx.x % warp_lanes);
    for (int distance = 1; distance < warp_lanes; distance *= 2) {
        const int below = __shfl_up_sync(all_lanes, value, distance);
        if (lane >= distance) value += below;
    }
    return value;
}

}  // namespace embrow::device
