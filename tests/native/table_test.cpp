// Tables at the edges that a fuzzer or a sanitizer found.
#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "check.h"
#include "encode/encode.h"
#include "vocab/counter.h"
#include "vocab/lookup.h"
#include "vocab/table.h"

namespace embrow::testing {
namespace {

int run() {
    cases all;
    const hash_seed seed{{1, 2}};

    all.begin("a table without tokens has none");
    const vocab_table empty = vocab_table::build({}, seed);
    text_rows rows;
    rows.rows = {{"a token_of_many_bytes", 21, encoding::utf8}};
    encode_options options;
    options.unk_id = 5;
    row_fault fault;
    const id_pieces ids = encode_ragged(empty, rows, options, 1, fault, [](size_t) {});
    all.check(std::ranges::equal(ids.pieces[0], std::array{5, 5}) && empty.find("a") == no_id, "an id was found");

    all.begin("the empty token, at no address");
    const std::array<std::string_view, 2> with_empty = {"a", std::string_view()};
    const vocab_table table = vocab_table::build(with_empty, seed);
    all.check(table.find("") == 1 && table.find(std::string_view()) == 1 && table.token(1).empty(), "its id is 1");
    token_counts counts(seed);
    counts.add(std::string_view(), 2);
    all.check(counts.tokens().find("") == 0 && counts.count(0) == 2, "it is counted");

    all.begin("a slot that names no token");
    const uint32_t slots[2] = {uint32_t{1} << 31, 0};
    const std::array<std::string_view, 1> one = {"a"};
    const vocab_table right = vocab_table::build(one, seed);
    bool refused = false;
    try {
        vocab_table::adopt({seed, slots, right.raw().keys, {}, nullptr});
    } catch (const std::invalid_argument&) {
        refused = true;
    }
    all.check(refused, "it was adopted");

    all.begin("a batch of any size, with one unknown token, which shares its hash with a known one or not");
    const std::array<std::string_view, 5> known = {"a", "of", "fifteen_letters", "the", "longer_than_its_key"};
    const vocab_table words = vocab_table::build(known, seed);
    const auto with_hash_of = [&](std::string_view other, std::string_view token) {
        return hashed_token{hash_token(other, seed).key, hash_token(token, seed).hash};
    };
    const std::array<hashed_token, 6> others = {
        hash_token("A", seed),
        with_hash_of("A", "of"),
        with_hash_of("ok", "of"),
        with_hash_of("Fifteen_letters", "fifteen_letters"),
        with_hash_of("fifteen_letterS", "fifteen_letters"),
        with_hash_of("longer_than_its_keY", "longer_than_its_key"),
    };
    bool equal = true;
    for (size_t size = 1; size <= 3 * tokens_together; ++size) {
        for (size_t at = 0; at < size; ++at) {
            for (const hashed_token& other : others) {
                std::vector<hashed_token> batch;
                std::vector<int32_t> expected;
                for (size_t i = 0; i < size; ++i) {
                    const size_t id = (i + size) % known.size();
                    batch.push_back(i == at ? other : hash_token(known[id], seed));
                    expected.push_back(i == at ? 7 : static_cast<int32_t>(id));
                }
                std::vector<int32_t> found(size);
                words.find_batch(batch, 7, found.data());
                equal &= found == expected;
            }
        }
    }
    all.check(equal, "each token has its own id");
    return all.finish();
}

}  // namespace
}  // namespace embrow::testing

int main() {
    return embrow::testing::run();
}
