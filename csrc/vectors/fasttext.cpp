#include "vectors/dictionary.h"

namespace embrow {
namespace {

class fasttext_dictionary final : public dictionary_parser {
  public:
    using dictionary_parser::dictionary_parser;

  private:
    entry parse(std::string_view window, int64_t number) const override {
        constexpr size_t count_bytes = 8;
        const size_t size = window.substr(0, max_word_bytes + 1).find('\0');
        if (size == std::string_view::npos || window.size() - size < 1 + count_bytes + 1) return {};
        const size_t type_at = size + 1 + count_bytes;
        const int type = static_cast<int8_t>(window[type_at]);
        const int expected = number < layout_.words ? 0 : 1;
        if (type != expected) {
            refuse(offset_ + static_cast<int64_t>(type_at), number,
                   " has type " + std::to_string(type) +
                       "; words (0) come before labels (1), and the header declares " + std::to_string(layout_.words) +
                       " words");
        }
        return {window.substr(0, size), 0, type_at + 1, number};
    }
};

}  // namespace

std::unique_ptr<dictionary_parser> make_fasttext_dictionary(const dictionary_layout& layout, row_store& store) {
    return std::make_unique<fasttext_dictionary>(layout, store);
}

}  // namespace embrow
