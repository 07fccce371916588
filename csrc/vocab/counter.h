// tokens -> counts: the mutable table behind TokenCounter, its entries in the order tokens were first seen.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "vocab/table.h"
#include "vocab/token.h"

namespace embrow {

class token_counts {
  public:
    explicit token_counts(const hash_seed& seed) : seed_(seed), index_(index_slots(0)) {}

    size_t size() const noexcept { return keys_.size(); }
    const hash_seed& seed() const noexcept { return seed_; }
    int64_t count(size_t entry) const noexcept { return counts_[entry]; }
    std::string_view token(size_t entry) const noexcept;

    void prefetch(uint64_t hash) const noexcept { __builtin_prefetch(&index_[hash & (index_.size() - 1)]); }

    // Adds `times` to a token hashed with this seed, whose bytes need not outlive the call.
    void add(const hashed_token& token, int64_t times);
    void add(std::string_view token, int64_t times);

    // Adds all of `other`, whose unseen tokens come after those seen here, in their order.
    void merge(const token_counts& other);

    // Entries by count descending, then first seen first, or (`by_token`) by code point; those below min_freq left out.
    std::vector<uint32_t> ranked(int64_t min_freq, bool by_token) const;

    // The entry of a token, or no_id.
    int64_t find(std::string_view token) const noexcept;

    // A table of `specials` (distinct, none among the entries) and the entries' tokens, in that order or specials last.
    // The entries' hashes are kept, nothing is hashed again.
    vocab_table table(std::span<const std::string_view> specials, std::span<const uint32_t> entries,
                      bool specials_first) const;

  private:
    void grow();

    hash_seed seed_;
    std::vector<uint64_t> index_;  // as vocab_table's, entries for ids
    std::vector<token_key> keys_;
    std::vector<uint64_t> hashes_;
    std::vector<int64_t> counts_;
    std::vector<char> arena_;
};

}  // namespace embrow
