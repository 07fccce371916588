// tokens -> table: an immutable hash table from token to id, and from id to token.
//
//     index   one 8-byte slot each, open addressing, at most half full:  | hash: 4 | id + 1: 4 |   0 is empty
//     keys    one 16-byte key for each id (token.h)
//     arena   the bytes of the tokens too long for their key
//
// A lookup reads a slot, and a key only if 32 bits of hash agree. Ids are dense and frequent tokens have low ones, so
// the keys that are read lie together. Three arrays without pointers: what is saved is what is loaded.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vocab/token.h"

namespace embrow {

inline constexpr size_t max_tokens = INT32_MAX - 1;
inline constexpr int32_t no_id = -1;

class vocab_table {
  public:
    // What a table is made of. `owner` keeps the memory behind the spans.
    struct parts {
        hash_seed seed;
        std::span<const uint64_t> index;  // a power of two
        std::span<const token_key> keys;
        std::span<const char> arena;
        std::shared_ptr<const void> owner;
    };

    // From tokens in id order. Throws std::invalid_argument if one occurs twice or is too long.
    static vocab_table build(std::span<const std::string_view> tokens, const hash_seed& seed);

    // From parts that came from outside. Throws std::invalid_argument naming what is wrong with them: with these checks
    // passed, no lookup reads out of bounds or fails to end.
    static vocab_table adopt(parts from);

    // From parts that this program has just made.
    static vocab_table trust(parts from) noexcept { return vocab_table(std::move(from)); }

    size_t size() const noexcept { return parts_.keys.size(); }
    const parts& raw() const noexcept { return parts_; }
    const hash_seed& seed() const noexcept { return parts_.seed; }

    // For an id below size().
    std::string_view token(size_t id) const noexcept;

    // The id, or no_id.
    int32_t find(std::string_view token) const noexcept;

    // A batched lookup: first the slot of each token is fetched, as soon as its hash is known; when some are,
    // find_batch reads the slots, and then the keys that they name, for at most token_batch tokens. Unknown ones get
    // `unknown`.
    auto prefetcher() const noexcept {
        return
            [index = parts_.index.data(), mask = mask_](uint64_t hash) { __builtin_prefetch(index + (hash & mask)); };
    }
    void find_batch(const hashed_token* tokens, size_t count, int32_t unknown, int32_t* ids) const noexcept;

  private:
    explicit vocab_table(parts from) noexcept : parts_(std::move(from)), mask_(parts_.index.size() - 1) {}

    int32_t probe(const hashed_token& token) const noexcept;

    parts parts_;
    uint64_t mask_;
};

// What a table that this program makes is kept in.
struct table_storage {
    std::vector<uint64_t> index;
    std::vector<token_key> keys;
    std::vector<char> arena;
};

// Slots for `tokens` tokens: a power of two, at most half of them used.
size_t index_slots(size_t tokens) noexcept;

inline uint64_t make_slot(uint64_t hash, size_t id) noexcept {
    return (hash & 0xFFFFFFFF00000000) | (id + 1);
}
// For an empty slot, no_id as an unsigned number.
inline uint64_t slot_id(uint64_t slot) noexcept {
    return (slot & 0xFFFFFFFF) - 1;
}
inline bool slot_matches(uint64_t slot, uint64_t hash) noexcept {
    return ((slot ^ hash) >> 32) == 0;
}

// The text of a stored key, in the key itself or in the arena.
inline std::string_view stored_text(const token_key& key, const char* arena) noexcept {
    return key_text(key, key.is_inline() ? nullptr : arena + key.low);
}

// Whether a stored key is that of a token.
inline bool stores(const token_key& key, const char* arena, const token_key& token) noexcept {
    if (key.high != token.high) return false;
    return key.is_inline() ? key.low == token.low : std::memcmp(arena + key.low, token.address(), key.size()) == 0;
}

// The ids, counted from 1, that the slots of hashes name, 0 where there is none, and asks for their keys, which are
// still to be compared: half of a hash may be another token's.
inline void find_slots(std::span<const uint64_t> index, const token_key* keys, const hashed_token* tokens, size_t count,
                       uint32_t* numbers) noexcept {
    const uint64_t* const slots = index.data();
    const uint64_t mask = index.size() - 1;
    // Also for 0, as a branch would cost more: what is fetched in vain is no fault, wherever it is.
    const uintptr_t keys_from_1 = reinterpret_cast<uintptr_t>(keys) - sizeof(token_key);
    for (size_t i = 0; i < count; ++i) {
        const uint64_t hash = tokens[i].hash;
        uint64_t slot = slots[hash & mask];
        if (!slot_matches(slot, hash)) [[unlikely]] {
            for (size_t at = hash; slot && !slot_matches(slot, hash);) slot = slots[++at & mask];
        }
        numbers[i] = static_cast<uint32_t>(slot);
        __builtin_prefetch(reinterpret_cast<const char*>(keys_from_1 + sizeof(token_key) * numbers[i]));
    }
}

// Puts every id's slot into an empty index.
void fill_index(std::span<uint64_t> index, std::span<const uint64_t> hashes) noexcept;

}  // namespace embrow
