#include "vectors/token_file.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>

#include "vectors/row_file.h"
#include "vectors/vectors.h"
#include "vocab/table.h"

namespace embrow {
namespace {

void read_table(int descriptor, uint64_t begin, size_t size, void* to) {
    const size_t got = read_at(descriptor, begin, size, static_cast<std::byte*>(to));
    if (got < size) {
        throw cut_short("the file ends at byte " + std::to_string(begin + got) + ", inside its tokens or rows");
    }
}

// A run of slots, as most tokens are found within one.
constexpr size_t run_slots = 16;

class finder {
  public:
    explicit finder(const token_file& file)
        : file_(file),
          slots_((file.index.end - file.index.begin) / sizeof(uint32_t)),
          tokens_((file.keys.end - file.keys.begin) / sizeof(token_key)) {
        if (slots_ != index_slots(tokens_)) {
            throw bad_vectors("the table of tokens has " + std::to_string(slots_) + " slots, not " +
                              std::to_string(index_slots(tokens_)));
        }
    }

    int64_t find(std::string_view token) {
        if (token.size() > max_token_bytes) return no_id;
        const hashed_token wanted = hash_token(token, file_.seed);
        const auto mask = static_cast<uint32_t>(slots_ - 1);
        uint64_t at = wanted.hash & mask;
        for (uint64_t seen = 0; seen < slots_;) {
            std::array<uint32_t, run_slots> run{};
            const size_t count = std::min<uint64_t>(run_slots, slots_ - at);
            read_table(file_.descriptor, file_.index.begin + at * sizeof(uint32_t), count * sizeof(uint32_t),
                       run.data());
            for (size_t i = 0; i < count; ++i) {
                if (run[i] == 0) return no_id;
                if (!slot_matches(run[i], wanted.hash, mask)) continue;
                const uint32_t id = slot_id(run[i], mask);
                if (is(id, token, wanted.key)) return id;
            }
            seen += count;
            at = (at + count) & mask;
        }
        throw bad_vectors("the table of tokens has no empty slot");
    }

  private:
    bool is(uint64_t id, std::string_view token, const token_key& wanted) {
        if (id >= tokens_) throw bad_vectors("a slot of the table of tokens holds id " + std::to_string(id));
        token_key key{};
        read_table(file_.descriptor, file_.keys.begin + id * sizeof(token_key), sizeof key, &key);
        if (key.high != wanted.high) return false;
        if (key.is_inline()) return key.low == wanted.low;
        const uint64_t room = file_.arena.end - file_.arena.begin;
        if (key.low > room || token.size() > room - key.low) {
            throw bad_vectors("token " + std::to_string(id) + " lies outside the table of tokens");
        }
        text_.resize(token.size());
        read_table(file_.descriptor, file_.arena.begin + key.low, text_.size(), text_.data());
        return text_ == token;
    }

    const token_file& file_;
    uint64_t slots_;
    uint64_t tokens_;
    std::string text_;
};

}  // namespace

void find_in_file(const token_file& file, std::span<const std::string_view> tokens, int64_t* ids) {
    finder table(file);
    for (const std::string_view token : tokens) *ids++ = table.find(token);
}

}  // namespace embrow
