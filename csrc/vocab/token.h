// A token's bytes -> a 16-byte key, whose hash and comparison need no loop.
//
//     up to 15 bytes    | the bytes, then zeros: 15                   | size: 1 |
//     longer            | where the bytes are: 8 | size: 4 | zeros: 3 | 255: 1 |
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
#include "common/load.h"
#include "text/tokens.h"

namespace embrow {

static_assert(std::endian::native == std::endian::little, "keys and vocabulary files are little-endian");

inline constexpr size_t inline_token_bytes = sizeof(uint64_t[2]) - 1;
static_assert(inline_token_bytes < loadable_bytes);

struct token_key {
    uint64_t low;   // 8 bytes; or the address of the text, or its offset in a table's arena
    uint64_t high;  // 7 bytes and the size; or the size and the mark

    static constexpr uint64_t long_mark = 0xFF;

    bool is_inline() const noexcept { return high >> 56 != long_mark; }
    size_t size() const noexcept { return is_inline() ? high >> 56 : static_cast<uint32_t>(high); }
    const char* address() const noexcept {
        return reinterpret_cast<const char*>(low);  // NOLINT(performance-no-int-to-ptr)
    }
    bool operator==(const token_key& other) const noexcept {
        return ((low ^ other.low) | (high ^ other.high)) == 0;  // one branch
    }
};

// The text of a key: in the key itself, or for a long one at `long_text`.
inline std::string_view key_text(const token_key& key, const char* long_text) noexcept {
    return {key.is_inline() ? reinterpret_cast<const char*>(&key) : long_text, key.size()};
}

struct hash_seed {
    std::array<uint64_t, 2> word;
    bool operator==(const hash_seed&) const = default;
};

// A seed from the system's entropy: without knowing it nobody can craft tokens that collide.
hash_seed random_seed();

// One folded product, as in foldhash (Orson Peters, 2024), the default of Rust's hashbrown.
inline uint64_t hash_words(uint64_t a, uint64_t b, const hash_seed& seed) noexcept {
    return fold(a ^ seed.word[0], b ^ seed.word[1]);
}

// For tokens beyond inline_token_bytes.
inline uint64_t hash_long(const char* text, size_t size, const hash_seed& seed) noexcept {
    uint64_t state = size;
    for (size_t i = 0; i + 16 < size; i += 16) {
        state = fold(load8(text + i) ^ seed.word[0], load8(text + i + 8) ^ seed.word[1] ^ state);
    }
    return hash_words(load8(text + size - 16) ^ state, load8(text + size - 8), seed);
}

struct hashed_token {
    token_key key;
    uint64_t hash;
};

// Entry n keeps n bytes of 15 and puts the size behind them.
struct key_part_table {
    // Aligned, so that no entry crosses a cache line.
    alignas(sizeof(token_key)) std::array<token_key, inline_token_bytes + 1> mask{};
    alignas(sizeof(token_key)) std::array<token_key, inline_token_bytes + 1> size{};
};
inline constexpr key_part_table key_parts = [] {
    key_part_table parts;
    for (size_t size = 0; size <= inline_token_bytes; ++size) {
        for (size_t byte = 0; byte < size; ++byte) {
            (byte < 8 ? parts.mask[size].low : parts.mask[size].high) |= uint64_t{0xFF} << (8 * (byte % 8));
        }
        parts.size[size].high = uint64_t{size} << 56;
    }
    return parts;
}();

// The key and hash of an inline token, of which loadable_bytes can be read.
inline hashed_token hash_inline(const char* loadable, size_t size, const hash_seed& seed) noexcept {
    const uint64_t low = load8(loadable) & key_parts.mask[size].low;
    const uint64_t high = (load8(loadable + 8) & key_parts.mask[size].high) | key_parts.size[size].high;
    return {{low, high}, hash_words(low, high, seed)};
}

// The key and hash of a longer one, of at most max_token_bytes. The key points to `text`.
inline hashed_token hash_beyond(const char* text, size_t size, const hash_seed& seed) noexcept {
    return {{reinterpret_cast<uint64_t>(text), token_key::long_mark << 56 | size}, hash_long(text, size, seed)};
}

// The key and hash of a token of at most max_token_bytes, around which nothing may be read.
inline hashed_token hash_token(std::string_view token, const hash_seed& seed) noexcept {
    if (token.size() > inline_token_bytes) return hash_beyond(token.data(), token.size(), seed);
    char copy[loadable_bytes] = {};
    if (!token.empty()) std::memcpy(copy, token.data(), token.size());  // the empty token may have no address
    return hash_inline(copy, token.size(), seed);
}

}  // namespace embrow
