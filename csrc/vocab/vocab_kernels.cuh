// Device code of lookups: a token's bytes -> its id, one token to a lane.
//
// The same keys, hashes and probes as token.h and table.h. A token of up to 15 bytes costs two sectors of 32 bytes, one
// for its slot and one for its key; one that is not in the table mostly costs the first alone. Text is read in words of
// 8 bytes that lie at multiples of 8, so what can be read must reach to such multiples.
#pragma once

#include <cstdint>

#include "vocab/table.h"
#include "vocab/vocab_cuda.h"

namespace embrow::device {

__device__ inline uint64_t fold(uint64_t a, uint64_t b) {
    return (a * b) ^ __umul64hi(a, b);
}

// 8 bytes at any address, of which at least the first can be read; what cannot be is unset.
__device__ inline uint64_t load8(const char* from) {
    const auto address = reinterpret_cast<uintptr_t>(from);
    const auto* const words = reinterpret_cast<const uint64_t*>(address / 8 * 8);
    const auto shift = static_cast<unsigned>(address % 8 * 8);
    return shift == 0 ? words[0] : words[0] >> shift | words[1] << (64 - shift);
}

__device__ inline uint64_t first_bytes(uint64_t word, uint32_t count) {
    return count >= 8 ? word : word & ((uint64_t{1} << 8 * count) - 1);
}

__device__ inline uint64_t hash_words(uint64_t a, uint64_t b, const uint64_t (&seed)[2]) {
    return fold(a ^ seed[0], b ^ seed[1]);
}

__device__ inline uint64_t hash_long(const char* text, uint32_t size, const uint64_t (&seed)[2]) {
    uint64_t state = size;
    for (uint32_t i = 0; i + 16 < size; i += 16) {
        state = fold(load8(text + i) ^ seed[0], load8(text + i + 8) ^ seed[1] ^ state);
    }
    return hash_words(load8(text + size - 16) ^ state, load8(text + size - 8), seed);
}

// For texts of 8 bytes or more.
__device__ inline bool same_text(const char* a, const char* b, uint32_t size) {
    for (uint32_t i = 0; i + 8 < size; i += 8) {
        if (load8(a + i) != load8(b + i)) return false;
    }
    return load8(a + size - 8) == load8(b + size - 8);
}

// The id whose slot and key match, or no_id.
template <class IsKey>
__device__ inline int32_t probe(const device_table& table, uint64_t hash, IsKey is_key) {
    for (auto at = static_cast<uint32_t>(hash) & table.mask;; at = (at + 1) & table.mask) {
        const uint32_t slot = __ldg(table.index + at);
        if (slot == 0) return no_id;
        if (((slot ^ static_cast<uint32_t>(hash >> 32)) & ~table.mask) != 0) continue;
        const uint32_t id = (slot & table.mask) - 1;
        if (is_key(__ldg(reinterpret_cast<const ulonglong2*>(table.keys) + id))) return static_cast<int32_t>(id);
    }
}

// The id of a token of 1 byte or more, or no_id.
__device__ inline int32_t find_token(const device_table& table, const char* text, int64_t bytes) {
    if (bytes > table.longest) return no_id;
    const auto size = static_cast<uint32_t>(bytes);
    if (size <= inline_token_bytes) {
        const uint64_t low = first_bytes(load8(text), size);
        const uint64_t high = (size > 8 ? first_bytes(load8(text + 8), size - 8) : 0) | static_cast<uint64_t>(size)
                                                                                            << 56;
        return probe(table, hash_words(low, high, table.seed),
                     [&](const ulonglong2& key) { return key.x == low && key.y == high; });
    }
    return probe(table, hash_long(text, size, table.seed), [&](const ulonglong2& key) {
        return key.y == (token_key::long_mark << 56 | size) && same_text(table.arena + key.x, text, size);
    });
}

}  // namespace embrow::device
