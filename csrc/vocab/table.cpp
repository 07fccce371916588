#include "vocab/table.h"

#include <random>
#include <stdexcept>

#include "vocab/lookup.h"

namespace embrow {
namespace {

// Whether tokens are the entries, each its own; with one branch for all.
inline bool are_entries(const token_key* keys, const hashed_token* tokens, const int32_t* entries) noexcept {
    using words [[gnu::vector_size(sizeof(token_key))]] = uint64_t;
    const auto load = [](const token_key& key) {
        words loaded;
        std::memcpy(&loaded, &key, sizeof loaded);
        return loaded;
    };
    int32_t sign = 0;
    for (size_t i = 0; i < tokens_together; ++i) sign |= entries[i];
    if (sign < 0) return false;
    words differing{};
#pragma GCC unroll 4
    for (size_t i = 0; i < tokens_together; ++i) {
        differing |= load(keys[static_cast<uint32_t>(entries[i])]) ^ load(tokens[i].key);
    }
    return (differing[0] | differing[1]) == 0;
}

std::invalid_argument damaged(const std::string& what) {
    return std::invalid_argument("vocabulary table: " + what);
}

}  // namespace

hash_seed random_seed() {
    std::random_device entropy;
    hash_seed seed{};
    for (uint64_t& word : seed.word) word = static_cast<uint64_t>(entropy()) << 32 | entropy();
    return seed;
}

vocab_table vocab_table::build(std::span<const std::string_view> tokens, const hash_seed& seed) {
    if (tokens.size() > max_tokens) throw damaged("more than " + std::to_string(max_tokens) + " tokens");
    auto made = std::make_shared<table_storage>();
    made->index.resize(index_slots(tokens.size()), 0);
    made->keys.reserve(tokens.size());
    size_t arena_bytes = 0;
    for (const std::string_view token : tokens) arena_bytes += token.size() > inline_token_bytes ? token.size() : 0;
    made->arena.reserve(arena_bytes);
    const uint32_t mask = slot_mask(made->index);
    for (const std::string_view token : tokens) {
        const size_t id = made->keys.size();
        if (token.size() > max_token_bytes) throw damaged("token " + std::to_string(id) + " is longer than 4 GiB");
        hashed_token entry = hash_token(token, seed);
        size_t at = entry.hash & mask;
        for (; made->index[at]; at = (at + 1) & mask) {
            if (!slot_matches(made->index[at], entry.hash, mask)) continue;
            const size_t other = slot_id(made->index[at], mask);
            if (stores(made->keys[other], made->arena.data(), entry.key)) {
                throw repeated_token(id, other);
            }
        }
        made->index[at] = make_slot(entry.hash, id, mask);
        if (!entry.key.is_inline()) {
            entry.key.low = made->arena.size();
            made->arena.insert(made->arena.end(), token.begin(), token.end());
        }
        made->keys.push_back(entry.key);
    }
    return trust({seed, made->index, made->keys, made->arena, made});
}

vocab_table vocab_table::adopt(parts from) {
    const size_t tokens = from.keys.size();
    if (tokens > max_tokens) throw damaged("more than " + std::to_string(max_tokens) + " tokens");
    if (from.index.size() != index_slots(tokens)) {
        throw damaged("the index has " + std::to_string(from.index.size()) + " slots, not " +
                      std::to_string(index_slots(tokens)));
    }
    for (size_t id = 0; id < tokens; ++id) {
        const token_key& key = from.keys[id];
        if (key.is_inline()) {
            if (key.size() <= inline_token_bytes) continue;
            throw damaged("token " + std::to_string(id) + " has a key of " + std::to_string(key.size()) + " bytes");
        }
        if (key.low > from.arena.size() || key.size() > from.arena.size() - key.low) {
            throw damaged("token " + std::to_string(id) + " lies outside the arena");
        }
    }
    size_t used = 0;
    const uint32_t mask = slot_mask(from.index);
    for (const uint32_t slot : from.index) {
        if (!slot) continue;
        ++used;
        if (slot_id(slot, mask) >= tokens) throw damaged("a slot holds id " + std::to_string(slot_id(slot, mask)));
    }
    if (used != tokens) {
        throw damaged(std::to_string(used) + " slots are used for " + std::to_string(tokens) + " tokens");
    }
    return vocab_table(std::move(from));
}

size_t vocab_table::longest() const noexcept {
    size_t longest = 0;
    for (const token_key& key : parts_.keys) longest = std::max(longest, key.size());
    return longest;
}

std::string_view vocab_table::token(size_t id) const noexcept {
    return stored_text(parts_.keys[id], parts_.arena.data());
}

int32_t vocab_table::probe(const hashed_token& token) const noexcept {
    for (size_t at = token.hash & mask_; parts_.index[at]; at = (at + 1) & mask_) {
        const uint32_t slot = parts_.index[at];
        if (!slot_matches(slot, token.hash, mask_)) continue;
        const uint32_t id = slot_id(slot, mask_);
        if (stores(parts_.keys[id], parts_.arena.data(), token.key)) return static_cast<int32_t>(id);
    }
    return no_id;
}

int32_t vocab_table::find(std::string_view token) const noexcept {
    return token.size() > max_token_bytes ? no_id : probe(hash_token(token, seed()));
}

// The ids of tokens that are not all entries: some are unknown, or long, their stored keys being offsets, or share the
// bits that slots hold with other tokens.
[[gnu::noinline]] void vocab_table::settle(std::span<const hashed_token> tokens, int32_t unknown,
                                           int32_t* ids) const noexcept {
    for (const hashed_token& token : tokens) {
        if (*ids != no_id && !(parts_.keys[*ids] == token.key)) [[unlikely]]
            *ids = probe(token);
        if (*ids == no_id) *ids = unknown;
        ++ids;
    }
}

void vocab_table::find_batch(std::span<const hashed_token> tokens, int32_t unknown, int32_t* ids) const noexcept {
    const token_key* const keys = parts_.keys.data();
    find_slots(parts_.index, keys, tokens, ids);
    size_t i = 0;
    for (; i + tokens_together <= tokens.size(); i += tokens_together) {
        if (!are_entries(keys, &tokens[i], ids + i)) [[unlikely]]
            settle(tokens.subspan(i, tokens_together), unknown, ids + i);
    }
    settle(tokens.subspan(i), unknown, ids + i);
}

}  // namespace embrow
