// tokens -> entries 0, 1, 2 ... in the order they were first inserted: the table that grows, as vocab_table does not.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "vocab/lookup.h"
#include "vocab/table.h"
#include "vocab/token.h"

namespace embrow {

inline constexpr int64_t no_entry = -1;

// Makes room for one more element, so that its push_back does not throw.
template <class T>
void reserve_one(std::vector<T>& elements) {
    if (elements.size() == elements.capacity()) elements.reserve(2 * elements.size() + 1);
}

// Lookups may run on many threads while nobody inserts.
class token_index {
  public:
    explicit token_index(const hash_seed& seed = random_seed()) : seed_(seed), index_(index_slots(0)) {}

    size_t size() const noexcept { return keys_.size(); }
    const hash_seed& seed() const noexcept { return seed_; }
    std::string_view token(size_t entry) const noexcept;
    uint64_t hash(size_t entry) const noexcept { return hashes_[entry]; }

    // An entry's key; a long one points into this index and holds until the next insertion.
    hashed_token hashed(size_t entry) const noexcept;

    std::span<const uint32_t> index() const noexcept { return index_; }
    void prefetch(uint64_t hash) const noexcept { __builtin_prefetch(&index_[hash & (index_.size() - 1)]); }

    // The entries that tokens may be, their keys to be compared; no_entry for a new one.
    void find_slots(std::span<const hashed_token> tokens, int32_t* entries) const noexcept {
        embrow::find_slots(index_, keys_.data(), tokens, entries);
    }
    bool holds(size_t entry, const token_key& token) const noexcept {
        return stores(keys_[entry], arena_.data(), token);
    }

    // The entry of a token, or no_entry.
    int64_t find(std::string_view token) const noexcept;

    // The entry of a token hashed with this seed, and whether it is new. The token's bytes need not outlive the call.
    // Throws std::length_error past max_tokens, or (of the second) max_token_bytes.
    std::pair<size_t, bool> insert(const hashed_token& token);
    std::pair<size_t, bool> insert(std::string_view token);

  private:
    // The slot that holds the token, or the empty one where it belongs.
    size_t probe(const hashed_token& token) const noexcept;

    hash_seed seed_;
    std::vector<uint32_t> index_;  // as vocab_table's, entries for ids
    std::vector<token_key> keys_;
    std::vector<uint64_t> hashes_;
    std::vector<char> arena_;
};

}  // namespace embrow
