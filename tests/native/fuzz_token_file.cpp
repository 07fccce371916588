// Any bytes -> the token table of a vectors cache: lookups in the file end, stay in bounds, and find what the table in
// memory finds, if it is one. For libFuzzer.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "fuzz.h"
#include "vectors/token_file.h"
#include "vectors/vectors.h"
#include "vocab/table.h"

namespace embrow::testing {
namespace {

template <class T>
std::vector<T> elements(std::string_view& from, size_t count) {
    std::vector<T> made(std::min(count, from.size() / sizeof(T)));
    if (!made.empty()) std::memcpy(made.data(), from.data(), made.size() * sizeof(T));
    from.remove_prefix(made.size() * sizeof(T));
    return made;
}

}  // namespace

void fuzz(const uint8_t* bytes, size_t size) {
    constexpr size_t head = 5;
    if (size < head) return;
    std::string_view rest(reinterpret_cast<const char*>(bytes) + head, size - head);
    const hash_seed seed{{bytes[0] * uint64_t{0x0101010101010101}, bytes[1] * uint64_t{0x0101010101010101}}};
    std::vector<std::string_view> texts;
    std::string_view words = rest.substr(0, bytes[2]);
    rest.remove_prefix(words.size());
    for (size_t at = 0; at < words.size();) {
        const size_t end = std::min(words.find(' ', at), words.size());
        const std::string_view word = words.substr(at, end - at);
        if (std::find(texts.begin(), texts.end(), word) == texts.end()) texts.push_back(word);
        at = end + 1;
    }
    // A right table that some bytes change, or all of it from the input.
    const vocab_table made = vocab_table::build(texts, seed);
    std::vector<uint32_t> index(made.raw().index.begin(), made.raw().index.end());
    std::vector<token_key> keys(made.raw().keys.begin(), made.raw().keys.end());
    std::vector<char> arena(made.raw().arena.begin(), made.raw().arena.end());
    if (bytes[3] & 1) {
        index = elements<uint32_t>(rest, index_slots(bytes[4] % 8));
        keys = elements<token_key>(rest, bytes[4] % 8);
        arena.assign(rest.begin(), rest.end());
    } else {
        for (; rest.size() >= 3; rest.remove_prefix(3)) {
            const auto where = static_cast<uint8_t>(rest[0]), at = static_cast<uint8_t>(rest[1]);
            const uint64_t flip = uint64_t{1} << static_cast<uint8_t>(rest[2]) % 64;
            if (where % 3 == 0) index[at % index.size()] ^= static_cast<uint32_t>(flip | flip >> 32);
            if (where % 3 == 1 && !keys.empty()) keys[at % keys.size()].low ^= flip;
            if (where % 3 == 2 && !keys.empty()) keys[at % keys.size()].high ^= flip;
        }
    }
    std::string file(bytes[3] >> 1, 'x');
    const auto put = [&](const auto& part) -> token_file::part {
        const uint64_t begin = file.size();
        file.append(reinterpret_cast<const char*>(part.data()), part.size() * sizeof part[0]);
        return {begin, file.size()};
    };
    static const int descriptor = memfd_create("table", 0);
    const token_file table{descriptor, seed, put(index), put(keys), put(arena)};
    if (ftruncate(descriptor, 0) != 0 || pwrite(descriptor, file.data(), file.size(), 0) < 0) std::abort();
    std::vector<int64_t> ids(texts.size());
    std::string fault;
    try {
        find_in_file(table, texts, ids.data());
    } catch (const bad_vectors& error) {
        fault = error.what();
    } catch (const cut_short& error) {
        fault = error.what();
    }
    try {
        const vocab_table adopted = vocab_table::adopt({seed, index, keys, arena, nullptr});
        for (size_t i = 0; i < texts.size(); ++i) {
            if (!fault.empty() || adopted.find(texts[i]) != ids[i]) {
                std::fprintf(stderr, "FAILED: token %zu: %s\n", i, fault.c_str());
                std::abort();
            }
        }
    } catch (const std::invalid_argument&) {
        return;
    }
}

}  // namespace embrow::testing
