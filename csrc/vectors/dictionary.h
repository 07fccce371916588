// windows of a file's word list -> the words kept, and the row of each in the matrix that follows.
//
// For formats that keep all words before all rows. Fed as row_parser is (vectors.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vectors/vectors.h"

namespace embrow {

// A longer word is taken for damage, so the caller's window stays bounded.
constexpr size_t max_word_bytes = size_t{1} << 20;

struct dictionary_layout {
    int64_t words;    // by the header
    int64_t entries;  // words, then what is passed over: fastText's labels
    int64_t limit;    // words to look at, at most
    int64_t offset;   // of the first entry in the file, in bytes
    bad_utf8 unicode_errors;
};

class dictionary_parser {
  public:
    dictionary_parser(const dictionary_layout& layout, row_store& store)
        : layout_(layout), store_(store), offset_(layout.offset) {}
    virtual ~dictionary_parser() = default;
    dictionary_parser(const dictionary_parser&) = delete;
    dictionary_parser& operator=(const dictionary_parser&) = delete;

    // Returns the bytes used. Throws cut_short and bad_vectors.
    size_t feed(std::string_view window, bool last);

    bool done() const noexcept { return entry_ >= layout_.entries; }
    int64_t offset() const noexcept { return offset_; }
    // Entries read.
    int64_t entry_number() const noexcept { return entry_; }
    // Of each word that the store kept.
    const std::vector<int64_t>& rows() const noexcept { return rows_; }
    // The bytes of words kept that were mended, by their place among those kept.
    const std::vector<std::pair<int64_t, std::string>>& mended() const noexcept { return mended_; }

  protected:
    struct entry {
        std::string_view word;
        size_t begin = 0;  // of the word in the entry
        size_t size = 0;   // of the entry; 0 when it does not end in the window
        int64_t row = 0;
    };
    // The entry at the front, the number `number` of the file. Throws bad_vectors.
    virtual entry parse(std::string_view window, int64_t number) const = 0;
    [[noreturn]] void refuse(int64_t at, int64_t number, const std::string& fault) const;

    dictionary_layout layout_;
    row_store& store_;
    int64_t offset_;  // of the window's first byte

  private:
    void keep(const entry& found, int64_t at);

    int64_t entry_ = 0;
    std::vector<int64_t> rows_;
    std::vector<std::pair<int64_t, std::string>> mended_;
};

// fastText's (Dictionary::save): the word, NUL, an int64 count, an int8 that is 0 for words and 1 for labels.
std::unique_ptr<dictionary_parser> make_fasttext_dictionary(const dictionary_layout& layout, row_store& store);

// finalfusion's: a uint32 size and the word; with `listed_rows`, then the word's row, a uint64.
std::unique_ptr<dictionary_parser> make_finalfusion_dictionary(const dictionary_layout& layout, row_store& store,
                                                               bool listed_rows);

}  // namespace embrow
