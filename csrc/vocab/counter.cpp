#include "vocab/counter.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <stdexcept>

namespace embrow {

std::string_view token_counts::token(size_t entry) const noexcept {
    const token_key& key = keys_[entry];
    if (key.is_inline()) return {reinterpret_cast<const char*>(&key) + 4, key.size()};
    return arena_token(key, arena_.data());
}

void token_counts::grow() {
    std::vector<uint64_t> larger(index_slots(keys_.size() + 1));
    fill_index(larger, hashes_);
    index_ = std::move(larger);
}

void token_counts::add(const hashed_token& token, int64_t times) {
    const size_t mask = index_.size() - 1;
    size_t at = token.hash & mask;
    for (; index_[at]; at = (at + 1) & mask) {
        if (!slot_matches(index_[at], token.hash)) continue;
        const uint64_t entry = slot_id(index_[at]);
        const token_key& own = keys_[entry];
        if (own.low != token.key.low) continue;
        if (own.is_inline() ? own.high == token.key.high
                            : std::memcmp(arena_.data() + own.high, token.key.address(), own.size()) == 0) {
            counts_[entry] += times;
            return;
        }
    }
    if (keys_.size() == max_tokens) throw std::length_error("more than " + std::to_string(max_tokens) + " tokens");
    const size_t entry = keys_.size();
    token_key key = token.key;
    if (!key.is_inline()) {
        const char* text = key.address();
        key.high = arena_.size();
        arena_.insert(arena_.end(), text, text + key.size());
    }
    keys_.push_back(key);
    hashes_.push_back(token.hash);
    counts_.push_back(times);
    if (2 * keys_.size() > index_.size()) {
        grow();
    } else {
        index_[at] = make_slot(token.hash, entry);
    }
}

void token_counts::add(std::string_view token, int64_t times) {
    if (token.size() > max_token_bytes) throw std::length_error("a token is longer than 4 GiB");
    add(hash_token(token, seed_), times);
}

void token_counts::merge(const token_counts& other) {
    // `other` may be this: its entries then all exist, and only counts change.
    const size_t entries = other.size();
    for (size_t entry = 0; entry < entries; ++entry) {
        constexpr size_t ahead = 16;
        if (other.seed_ == seed_) {
            if (entry + ahead < entries) prefetch(other.hashes_[entry + ahead]);
            token_key key = other.keys_[entry];
            if (!key.is_inline()) key.high = reinterpret_cast<uint64_t>(other.arena_.data() + key.high);
            add({key, other.hashes_[entry]}, other.counts_[entry]);
        } else {
            add(other.token(entry), other.counts_[entry]);
        }
    }
}

std::vector<uint32_t> token_counts::ranked(int64_t min_freq, bool by_token) const {
    std::vector<uint32_t> entries;
    for (uint32_t entry = 0; entry < keys_.size(); ++entry) {
        if (counts_[entry] >= min_freq) entries.push_back(entry);
    }
    std::sort(entries.begin(), entries.end(), [&](uint32_t a, uint32_t b) {
        if (counts_[a] != counts_[b]) return counts_[a] > counts_[b];
        return by_token ? token(a) < token(b) : a < b;
    });
    return entries;
}

int64_t token_counts::find(std::string_view text) const noexcept {
    if (text.size() > max_token_bytes) return no_id;
    const uint64_t hash = hash_token(text, seed_).hash;
    const size_t mask = index_.size() - 1;
    for (size_t at = hash & mask; index_[at]; at = (at + 1) & mask) {
        if (slot_matches(index_[at], hash) && token(slot_id(index_[at])) == text) {
            return static_cast<int64_t>(slot_id(index_[at]));
        }
    }
    return no_id;
}

vocab_table token_counts::table(std::span<const std::string_view> specials, std::span<const uint32_t> entries,
                                bool specials_first) const {
    const size_t tokens = specials.size() + entries.size();
    if (tokens > max_tokens) throw std::length_error("more than " + std::to_string(max_tokens) + " tokens");
    auto made = std::make_shared<table_storage>();
    made->index.resize(index_slots(tokens));
    made->keys.reserve(tokens);
    std::vector<uint64_t> hashes;
    hashes.reserve(tokens);
    const auto append = [&](hashed_token token, std::string_view text) {
        if (!token.key.is_inline()) {
            token.key.high = made->arena.size();
            made->arena.insert(made->arena.end(), text.begin(), text.end());
        }
        made->keys.push_back(token.key);
        hashes.push_back(token.hash);
    };
    const auto append_specials = [&] {
        for (const std::string_view text : specials) {
            append(hash_token(text, seed_), text);
        }
    };
    if (specials_first) append_specials();
    for (const uint32_t entry : entries) append({keys_[entry], hashes_[entry]}, token(entry));
    if (!specials_first) append_specials();
    fill_index(made->index, hashes);
    return vocab_table::trust({seed_, made->index, made->keys, made->arena, made});
}

}  // namespace embrow
