// Any bytes -> rows of text, or a vocabulary table's parts: splitting, encoding and counting against plain loops and
// the standard library's maps, and lookups in whatever table is adopted. For libFuzzer.
#include <algorithm>
#include <map>
#include <stdexcept>
#include <unordered_map>

#include "common/variant.h"
#include "encode/encode.h"
#include "fuzz.h"
#include "tokens_of.h"
#include "vocab/count.h"

namespace embrow::testing {
namespace {

// The input, eaten from the front; zeros when it is used up.
class reader {
  public:
    reader(const uint8_t* data, size_t size) : at_(data), left_(size) {}

    size_t left() const noexcept { return left_; }

    uint8_t byte() noexcept {
        if (left_ == 0) return 0;
        --left_;
        return *at_++;
    }

    std::string bytes(size_t count) {
        count = std::min(count, left_);
        std::string found(reinterpret_cast<const char*>(at_), count);
        at_ += count;
        left_ -= count;
        return found;
    }

    hash_seed seed() noexcept {
        hash_seed made{};
        for (uint64_t& word : made.word) word = uint64_t{byte()} * 0x0101010101010101;
        return made;
    }

  private:
    const uint8_t* at_;
    size_t left_;
};

struct text_input {
    std::vector<exact_row> kept;
    text_rows rows;
};

constexpr size_t most_bytes = 1 << 16;

// Rows of any encoding, some repeated so that they span segments and fill the scratch; perhaps as tokens.
void read_rows(reader& in, text_input& text) {
    const bool tokenized = in.byte() & 1;
    size_t total = 0;
    while (in.left() > 0 && total < most_bytes) {
        const uint8_t how = in.byte();
        const auto stored = static_cast<encoding>(1 + how % 4);
        const size_t unit = exact_row::unit_bytes(stored);
        const std::string once = in.bytes(in.byte() * unit);
        std::string all = once;
        for (int times = (how & 0x80) ? in.byte() : 0; times > 0 && all.size() < most_bytes / 2; --times) all += once;
        total += all.size();
        text.kept.emplace_back(all.data(), all.size() / unit, stored);
        text.rows.rows.push_back(text.kept.back().row());
    }
    if (!tokenized) return;
    text.rows.offsets = {0};
    const auto tokens = static_cast<int64_t>(text.rows.rows.size());
    while (text.rows.offsets.back() < tokens) {
        text.rows.offsets.push_back(std::min(tokens, text.rows.offsets.back() + text.rows.offsets.back() % 3));
        text.rows.offsets.push_back(std::min(tokens, text.rows.offsets.back() + 1));
    }
}

// All rows by the serial variant, once every other has found the same.
std::vector<row_tokens> split_by_all(const text_rows& rows, const text_options& options) {
    std::vector<row_tokens> expected;
    for (const variant v : available_variants()) {
        use_variant(variant_name(v));
        for (size_t row = 0; row < rows.size(); ++row) {
            row_tokens found = tokens_of(rows, row, options);
            if (v == variant::serial) {
                expected.push_back(std::move(found));
                continue;
            }
            require(found.tokens == expected[row].tokens, "variants split differently");
            require(found.fault.has_value() == expected[row].fault.has_value(), "variants refuse different rows");
            require(!found.fault || found.fault->at == expected[row].fault->at, "variants refuse different places");
        }
    }
    use_variant("");
    return expected;
}

using id_map = std::unordered_map<std::string, int32_t>;

struct expected_fault {
    int64_t row = row_fault::none;
    text_fault::kind what = text_fault::kind::invalid_utf8;
    int64_t at = 0;
};

std::vector<int32_t> frame(const std::vector<int32_t>& ids, const encode_options& options) {
    std::vector<int32_t> made = ids;
    if (options.max_length >= 0) {
        const auto room = static_cast<size_t>(options.max_length - (options.bos_id >= 0) - (options.eos_id >= 0));
        if (made.size() > room) {
            made = options.truncate_left
                       ? std::vector<int32_t>(made.end() - static_cast<std::ptrdiff_t>(room), made.end())
                       : std::vector<int32_t>(made.begin(), made.begin() + static_cast<std::ptrdiff_t>(room));
        }
    }
    if (options.bos_id >= 0) made.insert(made.begin(), options.bos_id);
    if (options.eos_id >= 0) made.push_back(options.eos_id);
    return made;
}

// Rows of ids by a map, up to the first fault.
std::vector<std::vector<int32_t>> encode_by_map(const id_map& ids, const std::vector<row_tokens>& rows,
                                                const encode_options& options, expected_fault& fault) {
    std::vector<std::vector<int32_t>> made;
    for (const row_tokens& row : rows) {
        std::vector<int32_t> found;
        for (const std::string& token : row.tokens) {
            const auto known = ids.find(token);
            if (known == ids.end() && options.unk_id == no_id) {
                fault = {static_cast<int64_t>(made.size()), text_fault::kind::unknown_token,
                         static_cast<int64_t>(found.size())};
                return made;
            }
            found.push_back(known == ids.end() ? options.unk_id : known->second);
        }
        if (row.fault) {
            fault = {static_cast<int64_t>(made.size()), row.fault->what, row.fault->at};
            return made;
        }
        made.push_back(frame(found, options));
    }
    return made;
}

void require_fault(const row_fault& found, const expected_fault& expected) {
    require(found.position() == expected.row, "the first fault is in another row");
    if (!found) return;
    require(found.detail().what == expected.what && found.detail().at == expected.at, "the fault is another");
}

void check_encoding(const vocab_table& table, const id_map& ids, const text_rows& rows,
                    const std::vector<row_tokens>& split, const encode_options& options, int threads) {
    expected_fault refused;
    const auto expected = encode_by_map(ids, split, options, refused);
    row_fault fault;
    const id_pieces pieces = encode_ragged(table, rows, options, threads, fault, [](size_t) {});
    require_fault(fault, refused);
    if (!fault) {
        std::vector<int64_t> joined(pieces.size());
        std::vector<int64_t> offsets(rows.size() + 1);
        join_pieces(pieces, joined.data(), offsets.data(), threads, [](size_t) {});
        std::vector<int64_t> flat;
        size_t longest = 0;
        for (size_t row = 0; row < expected.size(); ++row) {
            require(offsets[row] == static_cast<int64_t>(flat.size()), "a row starts elsewhere");
            require(pieces.lengths[row] == static_cast<int64_t>(expected[row].size()), "a row is of another length");
            flat.insert(flat.end(), expected[row].begin(), expected[row].end());
            longest = std::max(longest, expected[row].size());
        }
        require(offsets.back() == static_cast<int64_t>(flat.size()), "the last row ends elsewhere");
        require(pieces.longest == longest, "another row is the longest");
        require(joined == flat, "ids differ from the map's");
    }
    if (options.max_length < 0) return;
    const pad_layout<int32_t> layout{static_cast<size_t>(options.max_length) + 1, -7, options.truncate_left};
    std::vector<int32_t> out(rows.size() * layout.width);
    std::vector<int64_t> lengths(rows.size());
    row_fault padded_fault;
    encode_padded(table, rows, options, layout, out.data(), lengths.data(), threads, padded_fault, [](size_t) {});
    require_fault(padded_fault, refused);
    for (size_t row = 0; !padded_fault && row < expected.size(); ++row) {
        std::vector<int32_t> laid(layout.width, layout.value);
        std::copy(expected[row].begin(), expected[row].end(),
                  layout.left ? laid.end() - static_cast<std::ptrdiff_t>(expected[row].size()) : laid.begin());
        require(std::equal(laid.begin(), laid.end(), out.begin() + static_cast<std::ptrdiff_t>(row * layout.width)),
                "a padded row differs");
        require(lengths[row] == static_cast<int64_t>(expected[row].size()), "a length differs");
    }
}

void check_counting(const text_rows& rows, const std::vector<row_tokens>& split, const text_options& options,
                    const hash_seed& seed, int threads) {
    token_counts counts(seed);
    row_fault fault;
    count_tokens(counts, rows, options, threads, fault);
    const auto refused = std::find_if(split.begin(), split.end(), [](const row_tokens& row) { return row.fault; });
    require(fault.position() == (refused == split.end() ? row_fault::none : refused - split.begin()),
            "counting refuses another row");
    if (fault) {
        require(counts.tokens().size() == 0, "a refused batch counts");
        return;
    }
    std::map<std::string, int64_t> expected;
    std::vector<std::string> seen;
    for (const row_tokens& row : split) {
        for (const std::string& token : row.tokens) {
            if (++expected[token] == 1) seen.push_back(token);
        }
    }
    require(counts.tokens().size() == seen.size(), "another number of tokens is counted");
    for (size_t entry = 0; entry < seen.size(); ++entry) {
        require(counts.tokens().token(entry) == seen[entry], "tokens are not as first seen");
        require(counts.count(entry) == expected[seen[entry]], "counts differ from the map's");
        require(counts.tokens().find(seen[entry]) == static_cast<int64_t>(entry), "a counted token is not found");
    }
    // A stable sort of what the map yields by token: counts, then tokens.
    std::vector<std::pair<std::string, int64_t>> by_count(expected.begin(), expected.end());
    std::stable_sort(by_count.begin(), by_count.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    const std::vector<uint32_t> ranked = counts.ranked(1, true);
    const vocab_table table = counts.table({}, ranked, true);
    for (size_t id = 0; id < ranked.size(); ++id) {
        require(counts.tokens().token(ranked[id]) == by_count[id].first, "tokens are ranked otherwise");
        require(table.token(id) == by_count[id].first, "a token of the table is another");
        require(table.find(by_count[id].first) == static_cast<int32_t>(id), "a token of the table is not found");
    }
}

// Some of the tokens of `split`, which of them by `kept`, with their ids.
vocab_table some_tokens(const std::vector<row_tokens>& split, uint8_t kept, const hash_seed& seed, id_map& ids) {
    std::vector<std::string_view> chosen;
    size_t number = 0;
    for (const row_tokens& row : split) {
        for (const std::string& token : row.tokens) {
            const bool keep = kept >> (number++ % 8) & 1;
            if (keep && ids.emplace(token, static_cast<int32_t>(chosen.size())).second) chosen.push_back(token);
        }
    }
    vocab_table table = vocab_table::build(chosen, seed);
    for (const auto& [token, id] : ids) require(table.find(token) == id && table.token(id) == token, "a token is lost");
    if (!chosen.empty()) {
        chosen.push_back(chosen[chosen.size() / 2]);
        bool refused = false;
        try {
            vocab_table::build(chosen, seed);
        } catch (const std::invalid_argument&) {
            refused = true;
        }
        require(refused, "a token was taken twice");
    }
    return table;
}

// Lookups end and stay in bounds, which sanitizers and the time limit check; ids are in range.
void check_adopted(const vocab_table::parts& parts, const text_rows& rows, const std::vector<row_tokens>& split) {
    try {
        const vocab_table table = vocab_table::adopt(parts);
        const auto in_range = [&](int64_t id) { return id >= no_id && id < static_cast<int64_t>(table.size()); };
        size_t bytes = 0;
        for (size_t id = 0; id < table.size(); ++id) {
            const std::string_view token = table.token(id);
            for (const char byte : token.substr(0, 1000)) bytes += static_cast<unsigned char>(byte);
            require(in_range(table.find(token.substr(0, 1000))), "an id is out of range");
        }
        static_cast<void>(*const_cast<volatile size_t*>(&bytes));
        for (const row_tokens& row : split) {
            for (const std::string& token : row.tokens) require(in_range(table.find(token)), "an id is out of range");
        }
        encode_options options;
        options.unk_id = 0;
        row_fault fault;
        const id_pieces ids = encode_ragged(table, rows, options, 1, fault, [](size_t) {});
        for (const auto& piece : ids.pieces) {
            for (const int32_t id : piece) require(in_range(id) || id == options.unk_id, "an id is out of range");
        }
    } catch (const std::invalid_argument&) {
        return;
    }
}

template <class T>
std::vector<T> reinterpreted(const std::string& bytes) {
    std::vector<T> made(bytes.size() / sizeof(T));
    if (!made.empty()) std::memcpy(made.data(), bytes.data(), made.size() * sizeof(T));
    return made;
}

void fuzz_any_parts(reader& in) {
    const hash_seed seed = in.seed();
    const size_t tokens = in.byte() % 8;
    const auto index = reinterpreted<uint32_t>(in.bytes(4 * (in.byte() & 1 ? in.byte() % 20 : index_slots(tokens))));
    const auto keys = reinterpreted<token_key>(in.bytes(tokens * sizeof(token_key)));
    const std::string arena = in.bytes(in.byte());
    const std::vector<char> exact(arena.begin(), arena.end());
    text_input text;
    read_rows(in, text);
    check_adopted({seed, index, keys, exact, nullptr}, text.rows, split_by_all(text.rows, {}));
}

// Parts of a right table, then damaged.
void fuzz_damaged_parts(reader& in) {
    const hash_seed seed = in.seed();
    const uint8_t kept = in.byte();
    std::array<std::array<uint8_t, 3>, 6> damage{};
    const size_t damages = in.byte() % damage.size();
    for (size_t i = 0; i < damages; ++i) damage[i] = {in.byte(), in.byte(), in.byte()};
    text_input text;
    read_rows(in, text);
    const auto split = split_by_all(text.rows, {});
    id_map ids;
    const vocab_table table = some_tokens(split, kept, seed, ids);
    std::vector<uint32_t> index(table.raw().index.begin(), table.raw().index.end());
    std::vector<token_key> keys(table.raw().keys.begin(), table.raw().keys.end());
    const std::vector<char> arena(table.raw().arena.begin(), table.raw().arena.end());
    for (size_t i = 0; i < damages; ++i) {
        const auto [where, at, bit] = damage[i];
        const uint64_t flip = uint64_t{1} << bit % 64;
        if (where % 3 == 0) index[at % index.size()] ^= static_cast<uint32_t>(flip | flip >> 32);
        if (where % 3 == 1 && !keys.empty()) keys[at % keys.size()].low ^= flip;
        if (where % 3 == 2 && !keys.empty()) keys[at % keys.size()].high ^= flip;
    }
    check_adopted({seed, index, keys, arena, nullptr}, text.rows, split);
}

void fuzz_text(reader& in, uint8_t flags) {
    encode_options options;
    options.text = {flags & 4 ? tokenizer::words : tokenizer::whitespace, (flags & 8) != 0};
    options.truncate_left = flags & 16;
    options.unk_id = flags & 32 ? no_id : 0;
    const int threads = flags & 64 ? 3 : 1;
    const uint8_t frames = in.byte();
    if (frames & 1) options.bos_id = 1;
    if (frames & 2) options.eos_id = 2;
    if (frames & 4) options.max_length = (frames & 1) + (frames >> 1 & 1) + (frames >> 3);
    const uint8_t kept = in.byte();
    const hash_seed seed = in.seed();
    text_input text;
    read_rows(in, text);
    const auto split = split_by_all(text.rows, options.text);
    id_map ids;
    const vocab_table table = some_tokens(split, kept, seed, ids);
    check_encoding(table, ids, text.rows, split, options, threads);
    check_counting(text.rows, split, options.text, seed, threads);
}

}  // namespace

void fuzz(const uint8_t* data, size_t size) {
    reader in(data, size);
    const uint8_t flags = in.byte();
    switch (flags & 3) {
        case 0:
            fuzz_any_parts(in);
            break;
        case 1:
            fuzz_damaged_parts(in);
            break;
        default:
            fuzz_text(in, flags);
    }
}

}  // namespace embrow::testing
