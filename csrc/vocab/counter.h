// tokens -> counts: what is behind TokenCounter, its entries in the order tokens were first seen.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "vocab/token_index.h"

namespace embrow {

class token_counts {
  public:
    explicit token_counts(const hash_seed& seed) : tokens_(seed) {}

    const token_index& tokens() const noexcept { return tokens_; }
    int64_t count(size_t entry) const noexcept { return counts_[entry]; }

    // Counts tokens, at most token_batch::most of them, hashed with this seed and their slots asked for.
    void add_batch(std::span<const hashed_token> tokens);

    // Adds `times` to a token hashed with this seed, whose bytes need not outlive the call.
    void add(const hashed_token& token, int64_t times);
    void add(std::string_view token, int64_t times);

    // Adds all of `other`, whose unseen tokens come after those seen here, in their order.
    void merge(const token_counts& other);

    // Entries by count descending, then first seen first, or (`by_token`) by code point; those below min_freq left out.
    std::vector<uint32_t> ranked(int64_t min_freq, bool by_token) const;

    // A table of `specials` (distinct, none among the entries) and the entries' tokens, in that order or specials last.
    // The entries' hashes are kept, nothing is hashed again.
    vocab_table table(std::span<const std::string_view> specials, std::span<const uint32_t> entries,
                      bool specials_first) const;

  private:
    void add_to(std::pair<size_t, bool> inserted, int64_t times);

    token_index tokens_;
    std::vector<int64_t> counts_;
};

}  // namespace embrow
