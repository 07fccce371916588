#include "vocab/counter.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>

namespace embrow {

void token_counts::add_to(std::pair<size_t, bool> inserted, int64_t times) {
    if (inserted.second) counts_.push_back(0);
    counts_[inserted.first] += times;
}

void token_counts::add_batch(std::span<const hashed_token> tokens) {
    int32_t entries[token_batch::most];
    tokens_.find_slots(tokens, entries);
    for (size_t i = 0; i < tokens.size(); ++i) {
        if (entries[i] != no_entry && tokens_.holds(entries[i], tokens[i].key)) [[likely]] {
            ++counts_[entries[i]];
        } else {
            add(tokens[i], 1);  // new, though one before it in the batch may have been it
        }
    }
}

void token_counts::add(const hashed_token& token, int64_t times) {
    reserve_one(counts_);
    add_to(tokens_.insert(token), times);
}

void token_counts::add(std::string_view token, int64_t times) {
    reserve_one(counts_);
    add_to(tokens_.insert(token), times);
}

void token_counts::merge(const token_counts& other) {
    const bool same_hashes = other.tokens_.seed() == tokens_.seed();
    const size_t entries = other.counts_.size();
    constexpr size_t ahead = 16;
    for (size_t entry = 0; entry < entries; ++entry) {
        if (same_hashes) {
            if (entry + ahead < entries) tokens_.prefetch(other.tokens_.hash(entry + ahead));
            add(other.tokens_.hashed(entry), other.counts_[entry]);
        } else {
            add(other.tokens_.token(entry), other.counts_[entry]);
        }
    }
}

std::vector<uint32_t> token_counts::ranked(int64_t min_freq, bool by_token) const {
    // Few tokens are frequent. The others have a counter for each count, which sorts them in the order they have.
    constexpr int64_t frequent = int64_t{1} << 16;
    std::vector<uint32_t> entries;
    std::vector<uint32_t> ends(frequent);  // of the entries of each count, the highest first
    for (uint32_t entry = 0; entry < counts_.size(); ++entry) {
        if (counts_[entry] < min_freq) continue;
        if (counts_[entry] >= frequent) {
            entries.push_back(entry);
        } else {
            ++ends[frequent - 1 - counts_[entry]];
        }
    }
    std::sort(entries.begin(), entries.end(),
              [&](uint32_t a, uint32_t b) { return counts_[a] != counts_[b] ? counts_[a] > counts_[b] : a < b; });
    ends[0] += static_cast<uint32_t>(entries.size());
    std::partial_sum(ends.begin(), ends.end(), ends.begin());
    entries.resize(ends.back());
    for (size_t entry = counts_.size(); entry-- > 0;) {
        if (counts_[entry] < min_freq || counts_[entry] >= frequent) continue;
        entries[--ends[frequent - 1 - counts_[entry]]] = static_cast<uint32_t>(entry);
    }
    if (!by_token) return entries;
    for (auto begin = entries.begin(); begin != entries.end();) {
        const auto end = std::find_if(begin, entries.end(), [&](uint32_t e) { return counts_[e] != counts_[*begin]; });
        std::sort(begin, end, [&](uint32_t a, uint32_t b) { return tokens_.token(a) < tokens_.token(b); });
        begin = end;
    }
    return entries;
}

vocab_table token_counts::table(std::span<const std::string_view> specials, std::span<const uint32_t> entries,
                                bool specials_first) const {
    const size_t tokens = specials.size() + entries.size();
    if (tokens > max_tokens) throw std::length_error("more than " + std::to_string(max_tokens) + " tokens");
    auto made = std::make_shared<table_storage>();
    made->index.resize(index_slots(tokens), 0);
    made->keys.reserve(tokens);
    std::vector<uint64_t> hashes;
    hashes.reserve(tokens);
    const auto append = [&](hashed_token token, std::string_view text) {
        if (!token.key.is_inline()) {
            token.key.low = made->arena.size();
            made->arena.insert(made->arena.end(), text.begin(), text.end());
        }
        made->keys.push_back(token.key);
        hashes.push_back(token.hash);
    };
    const auto append_specials = [&] {
        for (const std::string_view text : specials) {
            append(hash_token(text, tokens_.seed()), text);
        }
    };
    if (specials_first) append_specials();
    for (const uint32_t entry : entries) append(tokens_.hashed(entry), tokens_.token(entry));
    if (!specials_first) append_specials();
    fill_index(made->index, hashes);
    return vocab_table::trust({tokens_.seed(), made->index, made->keys, made->arena, made});
}

}  // namespace embrow
