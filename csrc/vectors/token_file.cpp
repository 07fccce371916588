#include "vectors/token_file.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <system_error>

#include "vectors/vectors.h"
#include "vocab/table.h"

namespace embrow {
namespace {

// Reads all of `size` bytes at `begin`.
void read_at(int descriptor, uint64_t begin, size_t size, void* to) {
    auto* at = static_cast<char*>(to);
    while (size > 0) {
        const ssize_t got = pread(descriptor, at, size, static_cast<off_t>(begin));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw std::system_error(errno, std::generic_category(), "reading vectors");
        if (got == 0)
            throw cut_short("the file ends at byte " + std::to_string(begin) + ", inside its table of tokens");
        at += got;
        begin += static_cast<uint64_t>(got);
        size -= static_cast<size_t>(got);
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
            read_at(file_.descriptor, file_.index.begin + at * sizeof(uint32_t), count * sizeof(uint32_t), run.data());
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
        read_at(file_.descriptor, file_.keys.begin + id * sizeof(token_key), sizeof key, &key);
        if (key.high != wanted.high) return false;
        if (key.is_inline()) return key.low == wanted.low;
        const uint64_t room = file_.arena.end - file_.arena.begin;
        if (key.low > room || token.size() > room - key.low) {
            throw bad_vectors("token " + std::to_string(id) + " lies outside the table of tokens");
        }
        text_.resize(token.size());
        read_at(file_.descriptor, file_.arena.begin + key.low, text_.size(), text_.data());
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

void read_rows_of_file(int descriptor, uint64_t begin, size_t row_bytes, std::span<const int64_t> rows,
                       std::byte* out) {
    for (size_t i = 0; i < rows.size();) {
        // Neighbours are read at once.
        size_t count = 1;
        while (i + count < rows.size() && rows[i + count] == rows[i] + static_cast<int64_t>(count)) ++count;
        read_at(descriptor, begin + static_cast<uint64_t>(rows[i]) * row_bytes, count * row_bytes, out);
        out += count * row_bytes;
        i += count;
    }
}

}  // namespace embrow
