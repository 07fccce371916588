// A token's bytes -> a 16-byte key, whose hash and comparison need no loop.
//
//     up to 12 bytes    | size: 4 | the bytes, then zeros: 12         |
//     longer            | size: 4 | hash: 4 | where the bytes are: 8  |
//
// The size is part of the key, so tokens that differ only by NUL at the end differ.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "common/hash.h"
#include "text/rows.h"

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

// Entry n keeps n bytes of the 12.
inline constexpr auto key_masks = [] {
    std::array<std::array<uint64_t, 2>, inline_token_bytes + 1> masks{};
    for (size_t size = 0; size <= inline_token_bytes; ++size) {
        for (size_t byte = 0; byte < size; ++byte) masks[size][byte / 8] |= uint64_t{0xFF} << (8 * (byte % 8));
    }
    return masks;
}();

// The key of an inline token.
inline token_key inline_key(const char* text, size_t size, const readable& around) noexcept {
    uint64_t first = 0;
    uint64_t last = 0;
    if (around.end - text >= 12) [[likely]] {
        first = load8(text) & key_masks[size][0];
        last = load4(text + 8) & key_masks[size][1];
    } else if (size > 0 && text + size - around.begin >= 16) {
        // The 16 bytes that end with the token, those before it shifted out.
        const char* const end = text + size;
        const uint128 bytes = (static_cast<uint128>(load8(end - 8)) << 64 | load8(end - 16)) >> (8 * (16 - size));
        first = static_cast<uint64_t>(bytes);
        last = static_cast<uint64_t>(bytes >> 64);
    } else if (size > 0) {  // the empty token may have no address
        std::memcpy(&first, text, std::min<size_t>(size, 8));
        if (size > 8) std::memcpy(&last, text + 8, size - 8);
    }
    return {size | first << 32, first >> 32 | last << 32};
}

// The key and hash of a token of at most max_token_bytes. A long token's key points to `text`.
inline hashed_token hash_token(const char* text, size_t size, const readable& around, const hash_seed& seed) noexcept {
    if (size <= inline_token_bytes) [[likely]] {
        const token_key key = inline_key(text, size, around);
        return {key, hash_words(key.low, key.high, seed)};
    }
    const uint64_t hash = hash_long(text, size, seed);
    return {{size | (hash & 0xFFFFFFFF00000000), reinterpret_cast<uint64_t>(text)}, hash};
}

// The same where nothing around the token may be read.
inline hashed_token hash_token(std::string_view token, const hash_seed& seed) noexcept {
    return hash_token(token.data(), token.size(), {token.data(), token.data() + token.size()}, seed);
}

}  // namespace embrow
