#include "vocab/token_index.h"

#include <stdexcept>
#include <string>

namespace embrow {

std::string_view token_index::token(size_t entry) const noexcept {
    return stored_text(keys_[entry], arena_.data());
}

hashed_token token_index::hashed(size_t entry) const noexcept {
    token_key key = keys_[entry];
    if (!key.is_inline()) key.low = reinterpret_cast<uint64_t>(arena_.data() + key.low);
    return {key, hashes_[entry]};
}

size_t token_index::probe(const hashed_token& token) const noexcept {
    const uint32_t mask = slot_mask(index_);
    size_t at = token.hash & mask;
    while (index_[at] && !(slot_matches(index_[at], token.hash, mask) && holds(slot_id(index_[at], mask), token.key))) {
        at = (at + 1) & mask;
    }
    return at;
}

int64_t token_index::find(std::string_view token) const noexcept {
    if (token.size() > max_token_bytes) return no_entry;
    const uint32_t slot = index_[probe(hash_token(token, seed_))];
    return slot ? static_cast<int64_t>(slot_id(slot, slot_mask(index_))) : no_entry;
}

std::pair<size_t, bool> token_index::insert(const hashed_token& token) {
    const size_t at = probe(token);
    if (index_[at]) return {slot_id(index_[at], slot_mask(index_)), false};
    if (keys_.size() == max_tokens) throw std::length_error("more than " + std::to_string(max_tokens) + " tokens");
    const size_t entry = keys_.size();
    // All memory first: if there is none, nothing has changed.
    std::vector<uint32_t> larger(2 * (entry + 1) > index_.size() ? index_slots(entry + 1) : 0);
    reserve_one(keys_);
    reserve_one(hashes_);
    token_key key = token.key;
    if (!key.is_inline()) {
        const char* const text = key.address();
        key.low = arena_.size();
        arena_.insert(arena_.end(), text, text + key.size());
    }
    keys_.push_back(key);
    hashes_.push_back(token.hash);
    if (larger.empty()) {
        index_[at] = make_slot(token.hash, entry, slot_mask(index_));
    } else {
        fill_index(larger, hashes_);
        index_.swap(larger);
    }
    return {entry, true};
}

std::pair<size_t, bool> token_index::insert(std::string_view token) {
    if (token.size() > max_token_bytes) throw std::length_error("a token is longer than 4 GiB");
    return insert(hash_token(token, seed_));
}

}  // namespace embrow
