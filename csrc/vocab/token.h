// A token's bytes -> a 16-byte key, whose hash and comparison need no loop.
//
//     up to 12 bytes    | size: 4 | the bytes, then zeros: 12         |
//     longer            | size: 4 | hash: 4 | where the bytes are: 8  |
//
// The size is part of the key, so tokens that differ only by NUL at the end differ.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "common/hash.h"

namespace embrow {

static_assert(std::endian::native == std::endian::little, "keys and vocabulary files are little-endian");

inline constexpr size_t inline_token_bytes = 12;
inline constexpr size_t max_token_bytes = UINT32_MAX;

struct token_key {
    uint64_t low;   // size, and the first 4 bytes or 4 bytes of the hash
    uint64_t high;  // the other 8 bytes; or the address of the text, or its offset in a table's arena

    uint32_t size() const noexcept { return static_cast<uint32_t>(low); }
    bool is_inline() const noexcept { return size() <= inline_token_bytes; }
    const char* address() const noexcept {
        return reinterpret_cast<const char*>(high);
    }  // NOLINT(performance-no-int-to-ptr)
    bool operator==(const token_key&) const = default;
};

struct hash_seed {
    std::array<uint64_t, 3> word;
    bool operator==(const hash_seed&) const = default;
};

// A seed from the system's entropy: without knowing it nobody can craft tokens that collide.
hash_seed random_seed();

inline uint64_t hash_words(uint64_t a, uint64_t b, const hash_seed& seed) noexcept {
    return fold(fold(a ^ seed.word[0], b ^ seed.word[1]) ^ seed.word[2], 0x9E3779B97F4A7C15);
}

// For tokens beyond inline_token_bytes.
inline uint64_t hash_long(const char* text, size_t size, const hash_seed& seed) noexcept {
    uint64_t state = size;
    for (size_t i = 0; i + 16 < size; i += 16) {
        state = fold(load8(text + i) ^ seed.word[0], load8(text + i + 8) ^ seed.word[1] ^ state);
    }
    const uint64_t a = size >= 16 ? load8(text + size - 16) : load8(text);
    return hash_words(a ^ state, load8(text + size - 8), seed);
}

struct hashed_token {
    token_key key;
    uint64_t hash;
};

// The key of an inline token. Bytes up to `readable_end` may be read, which makes most tokens one masked load.
inline token_key inline_key(const char* text, size_t size, const char* readable_end) noexcept {
    uint64_t first = 0;
    uint64_t last = 0;
    if (readable_end - text >= 12) [[likely]] {
        static constexpr uint64_t ones = ~uint64_t{0};
        // Shifting by 64 is undefined, hence the two steps.
        const uint64_t keep_first = size >= 8 ? ones : (uint64_t{1} << (8 * size)) - 1;
        const uint64_t keep_last = size > 8 ? (uint64_t{1} << (8 * (size - 8))) - 1 : 0;
        first = load8(text) & keep_first;
        last = load4(text + 8) & keep_last;
    } else if (size >= 8) {
        first = load8(text);
        std::memcpy(&last, text + 8, size - 8);
    } else if (size >= 4) {
        first = load4(text) | load4(text + size - 4) << (8 * (size - 4));
    } else if (size > 0) {
        // Bytes 0, size / 2 and size - 1 cover 1, 2 and 3 bytes.
        const auto* byte = reinterpret_cast<const unsigned char*>(text);
        first = byte[0] | static_cast<uint64_t>(byte[size / 2]) << (8 * (size / 2)) |
                static_cast<uint64_t>(byte[size - 1]) << (8 * (size - 1));
    }
    return {size | first << 32, first >> 32 | last << 32};
}

// The key and hash of a token of at most max_token_bytes. A long token's key points to `text`.
inline hashed_token hash_token(const char* text, size_t size, const char* readable_end,
                               const hash_seed& seed) noexcept {
    if (size <= inline_token_bytes) [[likely]] {
        const token_key key = inline_key(text, size, readable_end);
        return {key, hash_words(key.low, key.high, seed)};
    }
    const uint64_t hash = hash_long(text, size, seed);
    return {{size | (hash & 0xFFFFFFFF00000000), reinterpret_cast<uint64_t>(text)}, hash};
}

}  // namespace embrow
