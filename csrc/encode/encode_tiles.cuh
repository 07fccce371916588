// Device code: packed text -> tiles of 2048 bytes, one to a warp, and where white space and tokens are in each.
//
//     text      t h e   c a t | r o w b * = bit i for byte i
//     spaces    0 0 0 1 0 0 0   0 0 0 0
//     begins    0 0 0 0 0 0 0   1 0 0 0    of rows; a token does not cross them
//     starts    1 0 0 0 1 0 0   1 0 0 0    ~spaces & (spaces << 1 | begins)
//
// Tiles do not depend on rows: a long row is many warps' work, and many short ones are one's. Code points cross tiles,
// and so do tokens: the tiles of a block's warps are loaded side by side, as far as they are wanted, with the sector of
// 32 bytes behind each and, where the text before the block is wanted, the one before the first.
#pragma once

#include <cstdint>

#include "common/ids.cuh"
#include "encode/encode_cuda.h"

namespace embrow::device {

constexpr int chunk_bytes = 16;
constexpr int tiles_from = 64;  // where in the window the first tile begins; before it, at most a sector is loaded
static_assert(text_tile_bytes == warp_lanes * 64, "a lane's share of a tile's bits is one word of 64");

// A block's part of the text, a tile to each of its warps.
template <int Warps>
struct text_window {
    static constexpr int size = tiles_from + Warps * text_tile_bytes + sector_bytes;

    ulonglong2 text[size / chunk_bytes];
    uint32_t spaces[size / 32];
    uint32_t begins[Warps * text_tile_bytes / 32];

    __device__ const char* bytes() const { return reinterpret_cast<const char*>(text); }
    // Where the block's tiles and a warp's begin in the window.
    __device__ static constexpr int tile_from(int warp) { return tiles_from + warp * text_tile_bytes; }
};

// Bit 1 + w for the tile of warp w, bit 0 for the end of the tile before them.
using tile_set = uint32_t;  // so a block has at most 31 warps
constexpr tile_set all_tiles = ~tile_set{0};

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

// Loads the wanted tiles of a block and the sector behind each, and finds their spaces; what is outside the text, or
// not loaded, is space. Of the last two bytes that are loaded it is not known whether they are. `window_begin` is where
// the window lies in the text. All threads of the block must call.
template <int Warps>
__device__ inline void load_window(const packed_text& text, int64_t window_begin, tile_set wanted,
                                   text_window<Warps>& window) {
    constexpr int threads = Warps * warp_lanes;
    constexpr int first_chunk = (tiles_from - sector_bytes) / chunk_bytes;
    constexpr int chunks = text_window<Warps>::size / chunk_bytes;
    constexpr int loads = (chunks - first_chunk + threads - 1) / threads;
    const auto lies_in_wanted = [wanted](int byte) {
        return (wanted >> (byte + text_tile_bytes - tiles_from) / text_tile_bytes & 1) != 0;
    };
    const auto is_loaded = [&](int byte) { return lies_in_wanted(byte) || lies_in_wanted(byte - sector_bytes); };
    uint32_t leads[loads];
#pragma unroll
    for (int load = 0; load < loads; ++load) {
        const int at = first_chunk + load * threads + static_cast<int>(threadIdx.x);
        const int64_t begin = window_begin + at * chunk_bytes;
        uint32_t spaces = 0xffff;
        leads[load] = 0;
        if (at < chunks && begin >= 0 && begin < text.size && is_loaded(at * chunk_bytes)) {
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
        if (threadIdx.x % 2 == 0 && at < chunks) window.spaces[at / 2] = spaces | next << 16;
    }
    __syncthreads();
    const auto* const bytes = reinterpret_cast<const unsigned char*>(window.text);
#pragma unroll
    for (int load = 0; load < loads; ++load) {
        for (uint32_t left = leads[load]; left != 0; left &= left - 1) {
            const int at = (first_chunk + load * threads + static_cast<int>(threadIdx.x)) * chunk_bytes +
                           __ffs(static_cast<int>(left)) - 1;
            if (at + 3 > text_window<Warps>::size || !is_loaded(at + 2)) break;
            const int length = wide_space(bytes[at], bytes[at + 1], bytes[at + 2]);
            if (length == 0) continue;
            const uint64_t found = ((uint64_t{1} << length) - 1) << at % 32;
            atomicOr(&window.spaces[at / 32], static_cast<uint32_t>(found));
            if (found >> 32 != 0) atomicOr(&window.spaces[at / 32 + 1], static_cast<uint32_t>(found >> 32));
        }
    }
    __syncthreads();
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

// What the text before a tile tells of it: bit 0 whether that ends in a space, bits 1 and 2 whether the tile's first
// bytes are of one.
template <int Warps>
__device__ inline uint32_t edge_of(const text_window<Warps>& window, int warp) {
    const uint32_t* const spaces = window.spaces + window.tile_from(warp) / 32;
    return spaces[-1] >> 31 | (spaces[0] & 3) << 1;
}

// Where tokens start in this lane's 64 bytes of the warp's tile, whose edge is known. All lanes must call.
template <int Warps>
__device__ inline uint64_t token_starts(const packed_text& text, int64_t tile, int64_t first, int warp, uint32_t edge,
                                        text_window<Warps>& window) {
    const auto lane = static_cast<int>(threadIdx.x % warp_lanes);
    uint32_t* const begins = window.begins + warp * text_tile_bytes / 32;
    begins[2 * lane] = begins[2 * lane + 1] = 0;
    __syncwarp();
    for_each_begin(text, tile, first, [&](int64_t, int at) { atomicOr(&begins[at / 32], 1U << at % 32); });
    __syncwarp();
    const uint32_t* const spaces = window.spaces + window.tile_from(warp) / 32 + 2 * lane;
    const auto word = [](const uint32_t* halves) { return halves[0] | static_cast<uint64_t>(halves[1]) << 32; };
    const uint64_t here = word(spaces) | (lane == 0 ? edge >> 1 : 0);
    const uint32_t after_space = lane == 0 ? edge & 1 : spaces[-1] >> 31;
    return ~here & (here << 1 | after_space | word(begins + 2 * lane));
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
