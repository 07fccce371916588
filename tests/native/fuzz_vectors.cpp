// Any bytes -> rows of a vector file: the same rows, or the same fault, for every cut into windows and number of
// threads. For libFuzzer; EMBROW_FUZZ_FORMAT chooses the parser: 0 word2vec binary, 1 word2vec text, 2 GloVe.
#include <algorithm>
#include <string>
#include <vector>

#include "fuzz.h"
#include "vectors/vectors.h"

namespace embrow::testing {
namespace {

struct settings {
    row_layout layout;
    element type;
    bool select;
    std::vector<std::string> wanted;
};

struct outcome {
    std::string fault;
    int64_t counts[4];
    std::vector<std::string> tokens;
    std::string table;
    bool operator==(const outcome&) const = default;
};

std::unique_ptr<row_parser> make_parser(const settings& s, row_store& store) {
#if EMBROW_FUZZ_FORMAT == 0
    return make_binary_parser(s.layout, store, s.type);
#else
    return make_text_parser(s.layout, store, s.type, EMBROW_FUZZ_FORMAT == 2);
#endif
}

// Shows the parser `window` bytes at a time, or more where it cannot use any of them, as vectors/_source.py does.
outcome parse(const settings& s, std::string_view data, size_t window, int threads) {
    token_index wanted(hash_seed{});
    for (const std::string& token : s.wanted) wanted.insert(token);
    row_store store(s.type, s.layout.dim, s.select, std::move(wanted));
    const auto parser = make_parser(s, store);
    outcome found{};
    try {
        size_t at = 0;
        size_t room = window;
        while (!parser->done()) {
            const size_t size = std::min(room, data.size() - at);
            const bool last = at + size == data.size();
            // A copy, so that reading past the window is seen.
            const std::vector<char> shown(data.begin() + static_cast<std::ptrdiff_t>(at),
                                          data.begin() + static_cast<std::ptrdiff_t>(at + size));
            const size_t used = parser->feed({shown.data(), size}, last, threads);
            at += used;
            if (last && !parser->done() && !s.layout.declared) break;
            room = used == 0 ? 2 * room : window;
        }
    } catch (const cut_short& fault) {
        found.fault = std::string("cut short: ") + fault.what();
    } catch (const bad_vectors& fault) {
        found.fault = std::string("bad: ") + fault.what();
    }
    const int64_t counts[] = {store.rows_read(), store.kept(), store.duplicates(), store.bad_utf8_tokens()};
    std::copy(std::begin(counts), std::end(counts), found.counts);
    for (int64_t row = 0; row < store.kept(); ++row) {
        const int64_t entry = s.select ? store.kept_ids()[static_cast<size_t>(row)] : row;
        found.tokens.emplace_back(store.tokens().token(static_cast<size_t>(entry)));
    }
    const size_t bytes = static_cast<size_t>(store.kept()) * store.row_bytes();
    const auto table = store.release();
    found.table.assign(reinterpret_cast<const char*>(table.get()), bytes);
    return found;
}

}  // namespace

void fuzz(const uint8_t* bytes, size_t size) {
    constexpr size_t head = 6;
    if (size < head) return;
    const uint8_t flags = bytes[0];
    settings s{};
    s.layout.dim = 1 + bytes[1] % 9;
    if (EMBROW_FUZZ_FORMAT != 2) s.layout.declared = bytes[2];
    s.layout.limit = bytes[3] < 200 ? INT64_MAX : bytes[3] - 200;
    s.layout.unicode_errors = static_cast<bad_utf8>(flags % 3);
    s.type = static_cast<element>(flags / 3 % 3);
    s.select = flags & 0x80;
    const std::string_view data(reinterpret_cast<const char*>(bytes) + head, size - head);
    if (s.select) {
        // Every other field of the file, so that some are found.
        bool keep = true;
        for (size_t at = 0; at < data.size();) {
            const size_t end = std::min(data.find_first_of(" \t\n", at), data.size());
            if (keep && end > at) s.wanted.emplace_back(data.substr(at, end - at));
            keep = !keep;
            at = end + 1;
        }
    }
    const outcome whole = parse(s, data, std::max<size_t>(data.size(), 1), 1);
    const outcome cut = parse(s, data, 1 + bytes[4] * (bytes[5] % 8), 2);
    if (whole == cut) return;
    std::fprintf(stderr, "FAILED: windows change the result\n%s\n%s\n", whole.fault.c_str(), cut.fault.c_str());
    std::abort();
}

}  // namespace embrow::testing
