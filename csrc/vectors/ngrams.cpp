#include "vectors/ngrams.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "text/unicode.h"

namespace embrow {
namespace {

std::string bracketed(std::string_view word) {
    std::string text;
    text.reserve(word.size() + 2);
    text += '<';
    text += word;
    text += '>';
    return text;
}

void check_count(std::string_view word, size_t count) {
    if (count <= max_word_ngrams) return;
    throw std::length_error("a token of " + std::to_string(word.size()) + " bytes has more than " +
                            std::to_string(max_word_ngrams) + " n-grams");
}

// FNV-1a, 32 bits, but bytes above 127 fill the upper bits, as they do where char is signed.
constexpr uint32_t signed_fnv_start = 2166136261;
constexpr uint32_t signed_fnv(uint32_t hash, char byte) noexcept {
    return (hash ^ static_cast<uint32_t>(static_cast<int8_t>(byte))) * 16777619;
}

class fasttext_rows final : public ngram_rows {
  public:
    explicit fasttext_rows(fasttext_ngrams rules) : rules_(std::move(rules)) {
        for (const auto& [bucket, row] : rules_.kept) bound_ = std::max<int64_t>(bound_, row + int64_t{1});
        if (!rules_.pruned) bound_ = rules_.buckets;
    }

    void append(std::string_view word, std::vector<int64_t>& rows) const override {
        if (word == "</s>" && !rules_.end_has_ngrams) return;
        const std::string text = bracketed(word);
        const size_t before = rows.size();
        for (size_t begin = 0; begin < text.size(); ++begin) {
            if (is_continuation(text[begin])) continue;
            uint32_t hash = signed_fnv_start;
            size_t end = begin;
            for (int32_t chars = 1; chars <= rules_.max_chars && end < text.size(); ++chars) {
                do hash = signed_fnv(hash, text[end++]);
                while (end < text.size() && is_continuation(text[end]));
                const bool lone_bracket = chars == 1 && (begin == 0 || end == text.size());
                if (chars >= rules_.min_chars && !lone_bracket) push(hash % rules_.buckets, rows);
            }
            check_count(word, rows.size() - before);
        }
    }

    int64_t bound() const noexcept override { return bound_; }

  private:
    void push(uint32_t bucket, std::vector<int64_t>& rows) const {
        if (!rules_.pruned) return rows.push_back(bucket);
        const auto at = std::lower_bound(rules_.kept.begin(), rules_.kept.end(), static_cast<int64_t>(bucket),
                                         [](const auto& pair, int64_t wanted) { return pair.first < wanted; });
        if (at != rules_.kept.end() && at->first == static_cast<int64_t>(bucket)) rows.push_back(at->second);
    }

    fasttext_ngrams rules_;
    int64_t bound_ = 0;
};

// Where the characters of valid UTF-8 begin, then its size.
std::vector<size_t> character_bounds(std::string_view text) {
    std::vector<size_t> bounds;
    for (size_t at = 0; at < text.size(); ++at) {
        if (!is_continuation(text[at])) bounds.push_back(at);
    }
    bounds.push_back(text.size());
    return bounds;
}

class finalfusion_rows : public ngram_rows {
  public:
    void append(std::string_view word, std::vector<int64_t>& rows) const override {
        const std::string text = bracketed(word);
        const std::vector<size_t> bounds = character_bounds(text);
        const size_t chars = bounds.size() - 1;
        const size_t before = rows.size();
        for (size_t begin = 0; begin < chars; ++begin) {
            for (size_t size = std::min<size_t>(max_chars_, chars - begin); size >= min_chars_; --size) {
                const std::string_view ngram(text.data() + bounds[begin], bounds[begin + size] - bounds[begin]);
                const int64_t row = row_of(ngram, size);
                if (row >= 0) rows.push_back(row);
            }
            check_count(word, rows.size() - before);
        }
    }

  protected:
    finalfusion_rows(uint32_t min_chars, uint32_t max_chars) : min_chars_(min_chars), max_chars_(max_chars) {}
    // -1: it has none.
    virtual int64_t row_of(std::string_view ngram, size_t chars) const = 0;

  private:
    uint32_t min_chars_;  // 1 or more
    uint32_t max_chars_;
};

class modulo_rows final : public finalfusion_rows {
  public:
    modulo_rows(uint32_t min_chars, uint32_t max_chars, uint32_t buckets)
        : finalfusion_rows(min_chars, max_chars), buckets_(buckets) {}
    int64_t bound() const noexcept override { return buckets_; }

  private:
    int64_t row_of(std::string_view ngram, size_t /*chars*/) const override {
        uint32_t hash = signed_fnv_start;
        for (const char byte : ngram) hash = signed_fnv(hash, byte);
        return hash % buckets_;
    }
    uint32_t buckets_;
};

class power_rows final : public finalfusion_rows {
  public:
    power_rows(uint32_t min_chars, uint32_t max_chars, uint32_t exponent)
        : finalfusion_rows(min_chars, max_chars), mask_((uint64_t{1} << exponent) - 1) {}
    int64_t bound() const noexcept override { return static_cast<int64_t>(mask_) + 1; }

  private:
    int64_t row_of(std::string_view ngram, size_t chars) const override {
        uint64_t hash = 14695981039346656037U;
        const auto add = [&hash](uint64_t value, int bytes) {
            for (int byte = 0; byte < bytes; ++byte) hash = (hash ^ (value >> 8 * byte & 0xff)) * 1099511628211U;
        };
        add(chars, 8);
        for (size_t at = 0; at < ngram.size();) {
            const auto lead = static_cast<uint8_t>(ngram[at++]);
            uint32_t code = lead < 0x80 ? lead : lead < 0xe0 ? lead & 0x1f : lead < 0xf0 ? lead & 0x0f : lead & 0x07;
            for (; at < ngram.size() && is_continuation(ngram[at]); ++at) code = code << 6 | (ngram[at] & 0x3f);
            add(code, 4);
        }
        return static_cast<int64_t>(hash & mask_);
    }
    uint64_t mask_;
};

class listed_rows final : public finalfusion_rows {
  public:
    listed_rows(uint32_t min_chars, uint32_t max_chars, token_index ngrams, std::vector<int64_t> rows)
        : finalfusion_rows(min_chars, max_chars), ngrams_(std::move(ngrams)), rows_(std::move(rows)) {
        for (const int64_t row : rows_) bound_ = std::max(bound_, row + 1);
    }
    int64_t bound() const noexcept override { return bound_; }

  private:
    int64_t row_of(std::string_view ngram, size_t /*chars*/) const override {
        const int64_t entry = ngrams_.find(ngram);
        return entry == no_entry ? -1 : rows_[static_cast<size_t>(entry)];
    }
    token_index ngrams_;
    std::vector<int64_t> rows_;
    int64_t bound_ = 0;
};

}  // namespace

std::unique_ptr<ngram_rows> make_fasttext_ngrams(fasttext_ngrams rules) {
    return std::make_unique<fasttext_rows>(std::move(rules));
}

std::unique_ptr<ngram_rows> make_finalfusion_ngrams(finalfusion_index index, uint32_t min_chars, uint32_t max_chars,
                                                    uint32_t size) {
    if (index == finalfusion_index::fasttext) return std::make_unique<modulo_rows>(min_chars, max_chars, size);
    return std::make_unique<power_rows>(min_chars, max_chars, size);
}

std::unique_ptr<ngram_rows> make_listed_ngrams(uint32_t min_chars, uint32_t max_chars, token_index ngrams,
                                               std::vector<int64_t> rows) {
    return std::make_unique<listed_rows>(min_chars, max_chars, std::move(ngrams), std::move(rows));
}

}  // namespace embrow
