// a word -> the rows of its n-grams, of which a word that was never seen gets its vector.
//
// N-grams are made of <word>, by character. Rows count from the first row of an n-gram, which may be behind rows of
// words in the same matrix.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "vocab/token_index.h"

namespace embrow {

// A longer n-gram, or more of them in a word, is taken for damage, so that time and memory stay in proportion.
constexpr uint32_t max_ngram_chars = 256;
constexpr size_t max_word_ngrams = size_t{1} << 22;

class ngram_rows {
  public:
    virtual ~ngram_rows() = default;
    ngram_rows(const ngram_rows&) = delete;
    ngram_rows& operator=(const ngram_rows&) = delete;

    // Appends the rows in the order in which their vectors are added up. Any thread. Throws std::length_error past
    // max_word_ngrams.
    virtual void append(std::string_view word, std::vector<int64_t>& rows) const = 0;
    // One more than the largest row that append may give.
    virtual int64_t bound() const noexcept = 0;

  protected:
    ngram_rows() = default;
};

// Bucket of an n-gram and its row, sorted by bucket.
using bucket_rows = std::vector<std::pair<int32_t, int32_t>>;

struct fasttext_ngrams {
    int32_t min_chars;
    int32_t max_chars;    // up to max_ngram_chars
    uint32_t buckets;     // 1 or more
    bool end_has_ngrams;  // of </s>, the end of a line
    bool pruned;          // only the buckets in `kept` have rows
    bucket_rows kept;
};

// fastText's (dictionary.cc, computeSubwords): FNV-1a, 32 bits, over bytes taken as signed; shortest first.
std::unique_ptr<ngram_rows> make_fasttext_ngrams(fasttext_ngrams rules);

enum class finalfusion_index : uint8_t {
    fasttext,  // fastText's hash, modulo a number of buckets
    buckets,   // FNV-1a, 64 bits, over the number of characters and each code point, modulo 2^exponent
};

// finalfusion's (finalfusion-rust, subword.rs): longest first. `size`: the number of buckets, or the exponent.
std::unique_ptr<ngram_rows> make_finalfusion_ngrams(finalfusion_index index, uint32_t min_chars, uint32_t max_chars,
                                                    uint32_t size);
// Of n-grams that are listed, each with its row.
std::unique_ptr<ngram_rows> make_listed_ngrams(uint32_t min_chars, uint32_t max_chars, token_index ngrams,
                                               std::vector<int64_t> rows);

}  // namespace embrow
