#include "vectors/dictionary.h"

namespace embrow {

void dictionary_parser::refuse(int64_t at, int64_t number, const std::string& fault) const {
    throw bad_vectors("byte " + std::to_string(at) + ": token " + std::to_string(number) + fault);
}

size_t dictionary_parser::feed(std::string_view window, bool last) {
    size_t used = 0;
    const int64_t begin = offset_;
    while (!done()) {
        offset_ = begin + static_cast<int64_t>(used);
        const entry found = parse(window.substr(used), entry_);
        if (found.size == 0) break;
        if (entry_ < layout_.words && entry_ < layout_.limit) keep(found, offset_ + static_cast<int64_t>(found.begin));
        used += found.size;
        ++entry_;
    }
    offset_ = begin + static_cast<int64_t>(used);
    if (done()) return used;
    if (last) {
        throw cut_short("the file ends at byte " + std::to_string(begin + static_cast<int64_t>(window.size())) +
                        ", in token " + std::to_string(entry_) + " of its list; its header declares " +
                        std::to_string(layout_.entries));
    }
    if (window.size() - used > max_word_bytes + 16)
        refuse(offset_, entry_, " is longer than " + std::to_string(max_word_bytes) + " bytes");
    return used;
}

void dictionary_parser::keep(const entry& found, int64_t at) {
    std::string_view word = found.word;
    const size_t bad = utf8_fault(word);
    std::string mended;
    if (bad != utf8_valid) {
        if (layout_.unicode_errors == bad_utf8::strict) {
            refuse(at + static_cast<int64_t>(bad), entry_,
                   " is not UTF-8; pass unicode_errors=\"replace\" or \"ignore\" to read it");
        }
        store_.count_bad_utf8();
        mended = mend_utf8(word, layout_.unicode_errors);
        word = mended;
    }
    if (store_.take(word) == nullptr) return;
    if (bad != utf8_valid) mended_.emplace_back(static_cast<int64_t>(rows_.size()), found.word);
    rows_.push_back(found.row);
}

}  // namespace embrow
