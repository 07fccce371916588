// tokens -> table: an immutable hash table from token to id, and from id to token.
//
//     index   of hashes (slots.h)
//     keys    one 16-byte key for each id (token.h)
//     arena   the bytes of the tokens too long for their key
//
// A lookup reads a slot, and a key only if the bits of hash agree. Ids are dense and frequent tokens have low ones, so
// the keys that are read lie together. Three arrays without pointers: what is saved is what is loaded.
#pragma once

#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "vocab/slots.h"
#include "vocab/token.h"

namespace embrow {

inline constexpr size_t max_tokens = INT32_MAX - 1;

// A token that a table is to be built of occurs twice.
struct repeated_token : std::invalid_argument {
    repeated_token(size_t token, size_t first)
        : std::invalid_argument("vocabulary table: token " + std::to_string(token) + " is token " +
                                std::to_string(first) + " once more"),
          id(token),
          first_id(first) {}

    size_t id, first_id;
};

class vocab_table {
  public:
    // What a table is made of. `owner` keeps the memory behind the spans.
    struct parts {
        hash_seed seed;
        std::span<const uint32_t> index;  // a power of two
        std::span<const token_key> keys;
        std::span<const char> arena;
        std::shared_ptr<const void> owner;
    };

    // From tokens in id order. Throws repeated_token if one occurs twice, std::invalid_argument if one is too long.
    static vocab_table build(std::span<const std::string_view> tokens, const hash_seed& seed);

    // From parts that came from outside. Throws std::invalid_argument naming what is wrong with them: with these checks
    // passed, no lookup reads out of bounds or fails to end.
    static vocab_table adopt(parts from);

    // From parts that this program has just made.
    static vocab_table trust(parts from) noexcept { return vocab_table(std::move(from)); }

    size_t size() const noexcept { return parts_.keys.size(); }
    const parts& raw() const noexcept { return parts_; }
    const hash_seed& seed() const noexcept { return parts_.seed; }
    std::span<const uint32_t> index() const noexcept { return parts_.index; }

    // Bytes of the longest token, 0 for none.
    size_t longest() const noexcept;

    // For an id below size().
    std::string_view token(size_t id) const noexcept;

    // The id, or no_id.
    int32_t find(std::string_view token) const noexcept;

    // The ids of hashed tokens, whose slots are best asked for before (lookup.h); of those that are not in the table,
    // `unknown`.
    void find_batch(std::span<const hashed_token> tokens, int32_t unknown, int32_t* ids) const noexcept;

  private:
    explicit vocab_table(parts from) noexcept : parts_(std::move(from)), mask_(slot_mask(parts_.index)) {}

    int32_t probe(const hashed_token& token) const noexcept;
    void settle(std::span<const hashed_token> tokens, int32_t unknown, int32_t* ids) const noexcept;

    parts parts_;
    uint32_t mask_;
};

// What a table that this program makes is kept in.
struct table_storage {
    std::vector<uint32_t> index;
    std::vector<token_key> keys;
    std::vector<char> arena;
};

// The text of a stored key, in the key itself or in the arena.
inline std::string_view stored_text(const token_key& key, const char* arena) noexcept {
    return key_text(key, key.is_inline() ? nullptr : arena + key.low);
}

// Whether a stored key is that of a token.
inline bool stores(const token_key& key, const char* arena, const token_key& token) noexcept {
    if (key.high != token.high) return false;
    return key.is_inline() ? key.low == token.low : std::memcmp(arena + key.low, token.address(), key.size()) == 0;
}

}  // namespace embrow
