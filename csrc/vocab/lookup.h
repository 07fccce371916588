// runs of tokens -> the entries of a hash index that they may be, many at once: while one token's memory is waited for,
// others are worked on. What the table and the index that grows share.
//
//     run -> keys and hashes (slots fetched) -> a batch of them: slots -> entries (keys fetched) -> keys to be compared
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "vocab/hash_run.h"
#include "vocab/slots.h"

namespace embrow {

// Tokens are looked up so many at a time, which saves most of what loops cost.
inline constexpr size_t tokens_together = 4;

// The entries that the slots of hashes name, no_id where there is none, and asks for their keys, which are still to be
// compared: some bits of a hash may be another token's.
void find_slots(std::span<const uint32_t> index, const token_key* keys, std::span<const hashed_token> tokens,
                int32_t* entries) noexcept;

// The hashed tokens of runs, gathered until they are enough to be looked up together.
class token_batch {
  public:
    // What the first waits for is there when the last is hashed, and all stay in the first-level cache. There may be
    // more, so that short runs are not cut.
    static constexpr size_t enough = 256;
    static constexpr size_t most = 512;

    token_batch() = default;
    token_batch(const token_batch&) = delete;
    token_batch& operator=(const token_batch&) = delete;

    // Hashes a run's tokens for `table`, with seed() and index(). Calls full() when there are enough tokens, which must
    // clear them.
    template <class Table, class Full>
    void take(const token_run& run, const Table& table, Full&& full) {
        for (size_t done = 0; done < run.count;) {
            const size_t end = std::min(run.count, done + (most - size()));
            end_ = hash_(run, done, end, table.seed(), table.index(), end_);
            done = end;
            if (size() >= enough) full();
        }
    }

    std::span<const hashed_token> tokens() const noexcept { return {tokens_, end_}; }
    size_t size() const noexcept { return static_cast<size_t>(end_ - tokens_); }
    void clear() noexcept { end_ = tokens_; }

  private:
    hash_kernel* hash_ = choose_hash();
    hashed_token tokens_[most];
    hashed_token* end_ = tokens_;
};

}  // namespace embrow
