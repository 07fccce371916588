// Any bytes -> a file's list of words, and their n-grams: the same words, or the same fault, for every cut into
// windows; n-grams as plain loops find them. For libFuzzer; EMBROW_FUZZ_FORMAT chooses: 0 fastText, 1 finalfusion.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "fuzz.h"
#include "vectors/dictionary.h"
#include "vectors/ngrams.h"

namespace embrow::testing {
namespace {

struct settings {
    dictionary_layout layout;
    bool select;
    bool listed;
    std::vector<std::string> wanted;
};

struct outcome {
    std::string fault;
    int64_t offset;
    std::vector<std::string> words;
    std::vector<int64_t> rows;
    std::vector<std::pair<int64_t, std::string>> mended;
    bool operator==(const outcome&) const = default;
};

outcome parse(const settings& s, std::string_view data, size_t window) {
    token_index wanted(hash_seed{});
    for (const std::string& token : s.wanted) wanted.insert(token);
    row_store store(element::float32, 0, s.select, std::move(wanted));
#if EMBROW_FUZZ_FORMAT == 0
    const auto parser = make_fasttext_dictionary(s.layout, store);
#else
    const auto parser = make_finalfusion_dictionary(s.layout, store, s.listed);
#endif
    outcome found{};
    try {
        size_t at = 0;
        size_t room = window;
        while (!parser->done()) {
            const size_t size = std::min(room, data.size() - at);
            // A copy, so that reading past the window is seen.
            const std::vector<char> shown(data.begin() + static_cast<std::ptrdiff_t>(at),
                                          data.begin() + static_cast<std::ptrdiff_t>(at + size));
            const size_t used = parser->feed({shown.data(), size}, at + size == data.size());
            at += used;
            room = used == 0 ? 2 * room : window;
        }
        require(parser->offset() == s.layout.offset + static_cast<int64_t>(at), "the offset is not what was used");
    } catch (const cut_short& fault) {
        found.fault = std::string("cut short: ") + fault.what();
    } catch (const bad_vectors& fault) {
        found.fault = std::string("bad: ") + fault.what();
    }
    found.rows = parser->rows();
    found.mended = parser->mended();
    require(found.rows.size() == static_cast<size_t>(store.kept()), "a word without a row");
    for (int64_t row = 0; row < store.kept(); ++row) {
        const int64_t entry = s.select ? store.kept_ids()[static_cast<size_t>(row)] : row;
        found.words.emplace_back(store.tokens().token(static_cast<size_t>(entry)));
    }
    return found;
}

// Whole n-grams of <word>, each hashed from its start, by the definition of either format.
std::vector<std::string> characters_of(const std::string& word) {
    std::vector<std::string> characters;
    for (const char byte : "<" + word + ">") {
        if ((byte & 0xc0) == 0x80 && !characters.empty()) {
            characters.back() += byte;
        } else {
            characters.emplace_back(1, byte);
        }
    }
    return characters;
}

std::string joined(const std::vector<std::string>& characters, size_t begin, size_t size) {
    std::string text;
    for (size_t i = begin; i < begin + size; ++i) text += characters[i];
    return text;
}

uint32_t hash_of(const std::string& ngram) {
    uint32_t hash = 2166136261U;
    for (const char byte : ngram) {
        const auto bits = static_cast<uint8_t>(byte);
        hash ^= bits < 128 ? bits : 0xffffff00U | bits;
        hash *= 16777619U;
    }
    return hash;
}

#if EMBROW_FUZZ_FORMAT == 0
void check_ngrams(const std::string& word, const uint8_t* head) {
    fasttext_ngrams rules{head[6] % 5, head[7] % 8, 1U + head[8], (head[9] & 1) != 0, (head[9] & 2) != 0, {}};
    std::map<int32_t, int32_t> kept;
    for (int32_t bucket = 0; bucket < 256; bucket += 1 + head[9] / 8) kept[bucket] = 255 - bucket;
    if (rules.pruned) rules.kept.assign(kept.begin(), kept.end());
    std::vector<int64_t> expected;
    const auto characters = characters_of(word);
    const auto count = static_cast<int32_t>(characters.size());
    for (int32_t begin = 0; begin < count && (word != "</s>" || rules.end_has_ngrams); ++begin) {
        for (int32_t size = std::max(1, rules.min_chars); size <= rules.max_chars && begin + size <= count; ++size) {
            if (size == 1 && (begin == 0 || begin + 1 == count)) continue;
            const auto bucket = static_cast<int32_t>(
                hash_of(joined(characters, static_cast<size_t>(begin), static_cast<size_t>(size))) % rules.buckets);
            if (!rules.pruned) expected.push_back(bucket);
            if (rules.pruned && kept.contains(bucket)) expected.push_back(kept[bucket]);
        }
    }
    const auto index = make_fasttext_ngrams(rules);
    std::vector<int64_t> found;
    index->append(word, found);
    require(found == expected, "n-grams differ from the plain loop's");
    for (const int64_t row : found) require(row >= 0 && row < index->bound(), "a row is out of bounds");
}
#else
void check_ngrams(const std::string& word, const uint8_t* head) {
    const uint32_t least = 1 + head[6] % 4;
    const uint32_t most = least + head[7] % 6;
    const auto characters = characters_of(word);
    token_index known(hash_seed{});
    std::vector<int64_t> rows;
    std::vector<int64_t> by_hash;
    std::vector<int64_t> by_list;
    size_t ngrams = 0;
    for (size_t begin = 0; begin < characters.size(); ++begin) {
        for (size_t size = std::min<size_t>(most, characters.size() - begin); size >= least; --size, ++ngrams) {
            const std::string ngram = joined(characters, begin, size);
            by_hash.push_back(hash_of(ngram) % (1U + head[8]));
            if (ngrams % 2 == 0 && known.insert(ngram).second) rows.push_back(static_cast<int64_t>(3 * ngrams));
        }
    }
    for (size_t begin = 0; begin < characters.size(); ++begin) {
        for (size_t size = std::min<size_t>(most, characters.size() - begin); size >= least; --size) {
            const int64_t entry = known.find(joined(characters, begin, size));
            if (entry != no_entry) by_list.push_back(rows[static_cast<size_t>(entry)]);
        }
    }
    const auto check = [&](const std::unique_ptr<ngram_rows>& index, const std::vector<int64_t>* expected) {
        std::vector<int64_t> found;
        index->append(word, found);
        require(expected == nullptr || found == *expected, "n-grams differ from the plain loop's");
        for (const int64_t row : found) require(row >= 0 && row < index->bound(), "a row is out of bounds");
    };
    check(make_finalfusion_ngrams(finalfusion_index::fasttext, least, most, 1U + head[8]), &by_hash);
    check(make_finalfusion_ngrams(finalfusion_index::buckets, least, most, 1 + head[8] % 47), nullptr);
    check(make_listed_ngrams(least, most, std::move(known), std::move(rows)), &by_list);
}
#endif

}  // namespace

void fuzz(const uint8_t* bytes, size_t size) {
    constexpr size_t head = 10;
    if (size < head) return;
    const uint8_t flags = bytes[0];
    settings s{};
    s.layout.entries = bytes[1];
    s.layout.words = std::min<int64_t>(bytes[2], s.layout.entries);
    s.layout.limit = bytes[3] < 200 ? INT64_MAX : bytes[3] - 200;
    s.layout.offset = 92;
    s.layout.unicode_errors = static_cast<bad_utf8>(flags % 3);
    s.select = flags & 0x80;
    s.listed = flags & 0x40;
    const std::string_view data(reinterpret_cast<const char*>(bytes) + head, size - head);
    if (s.select) {
        settings all = s;
        all.select = false;
        const outcome every = parse(all, data, std::max<size_t>(data.size(), 1));
        for (size_t i = 0; i < every.words.size(); i += 2) s.wanted.push_back(every.words[i]);
    }
    const outcome whole = parse(s, data, std::max<size_t>(data.size(), 1));
    const outcome cut = parse(s, data, 1 + bytes[4] * (bytes[5] % 8));
    if (!(whole == cut)) {
        std::fprintf(stderr, "FAILED: windows change the result\n%s\n%s\n", whole.fault.c_str(), cut.fault.c_str());
        std::abort();
    }
    for (const std::string& word : whole.words) check_ngrams(word, bytes);
#if EMBROW_FUZZ_FORMAT == 0
    for (const auto& [place, word] : whole.mended) check_ngrams(word, bytes);
#endif
}

}  // namespace embrow::testing
