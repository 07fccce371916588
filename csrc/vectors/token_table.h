// tokens (bytes) -> ids 0, 1, 2 ... in the order they were first inserted.
//
// One open-addressing table over one buffer of token bytes. Lookups may run on many threads while nobody inserts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace embrow {

class token_table {
  public:
    static constexpr int64_t none = -1;

    int64_t size() const noexcept { return static_cast<int64_t>(ends_.size()); }

    std::string_view token(int64_t id) const noexcept {
        const size_t begin = id == 0 ? 0 : ends_[id - 1];
        return {bytes_.data() + begin, ends_[id] - begin};
    }

    int64_t find(std::string_view token_bytes) const noexcept {
        if (slots_.empty()) return none;
        return slots_[probe(token_bytes, hash(token_bytes))].id;
    }

    // The token's id, and whether it is new.
    std::pair<int64_t, bool> insert(std::string_view token_bytes) {
        if (2 * (ends_.size() + 1) > slots_.size()) grow();
        const uint64_t h = hash(token_bytes);
        slot& at = slots_[probe(token_bytes, h)];
        if (at.id != none) return {at.id, false};
        const int64_t id = size();
        bytes_.append(token_bytes);
        ends_.push_back(bytes_.size());
        at = {h, id};
        return {id, true};
    }

  private:
    struct slot {
        uint64_t hash = 0;
        int64_t id = none;
    };

    static uint64_t hash(std::string_view bytes) noexcept { return std::hash<std::string_view>{}(bytes); }

    // The slot that holds the token, else the empty one where it belongs; at most half the slots are taken.
    size_t probe(std::string_view bytes, uint64_t h) const noexcept {
        const size_t mask = slots_.size() - 1;
        size_t at = h & mask;
        while (slots_[at].id != none && (slots_[at].hash != h || token(slots_[at].id) != bytes)) at = (at + 1) & mask;
        return at;
    }

    void grow() {
        std::vector<slot> old = std::move(slots_);
        slots_.assign(old.empty() ? 1024 : 2 * old.size(), slot{});
        const size_t mask = slots_.size() - 1;
        for (const slot& taken : old) {
            if (taken.id == none) continue;
            size_t at = taken.hash & mask;
            while (slots_[at].id != none) at = (at + 1) & mask;
            slots_[at] = taken;
        }
    }

    std::string bytes_;
    std::vector<size_t> ends_;
    std::vector<slot> slots_;
};

}  // namespace embrow
