#include <cstring>

#include "vectors/vectors.h"

namespace embrow {
namespace {

// Copies dim little-endian float32 as elements of type T.
template <class T>
void copy_row(const char* from, size_t dim, std::byte* to) noexcept {
    static_assert(std::endian::native == std::endian::little);
    for (size_t i = 0; i < dim; ++i) {
        float value = 0;
        std::memcpy(&value, from + 4 * i, 4);
        const T converted = to_element<T>(value);
        std::memcpy(to + sizeof(T) * i, &converted, sizeof(T));
    }
}
template <>
void copy_row<float>(const char* from, size_t dim, std::byte* to) noexcept {
    std::memcpy(to, from, 4 * dim);
}

template <class T>
class binary_parser final : public row_parser {
  public:
    using row_parser::row_parser;

  private:
    // Where a row lies in the window.
    struct place {
        std::string_view token;
        size_t begin;  // of the token
        size_t end;    // 0 for a row that does not end in the window
    };

    size_t parse(std::string_view window, bool /*last*/, int /*threads*/) override {
        const size_t vector_bytes = 4 * layout_.dim;
        size_t used = 0;
        for (place row = find_row(window, 0); row.end != 0 && !done();) {
            // What the next token needs of the table, and the token after it, come while this row is copied.
            const place next = find_row(window, row.end);
            store_.expect(next.token);
            __builtin_prefetch(window.data() + next.end);
            std::string_view token = row.token;
            if (const size_t bad = utf8_fault(token); bad != utf8_valid) {
                if (layout_.unicode_errors == bad_utf8::strict) {
                    throw bad_vectors("byte " + std::to_string(offset_ + static_cast<int64_t>(row.begin + bad)) +
                                      ": token " + std::to_string(store_.rows_read()) +
                                      " is not UTF-8; pass unicode_errors=\"replace\" or \"ignore\" to read it");
                }
                store_.count_bad_utf8();
                mended_ = mend_utf8(token, layout_.unicode_errors);
                token = mended_;
            }
            if (std::byte* to = store_.take(token))
                copy_row<T>(window.data() + row.end - vector_bytes, layout_.dim, to);
            used = row.end;
            row = next;
        }
        return used;
    }

    // The row at `from` or, past newlines, behind it.
    place find_row(std::string_view window, size_t from) const noexcept {
        const size_t vector_bytes = 4 * layout_.dim;
        size_t begin = from;
        while (begin < window.size() && window[begin] == '\n') ++begin;
        const size_t space = window.find(' ', begin);
        if (space == std::string_view::npos || window.size() - space - 1 < vector_bytes) return {};
        return {window.substr(begin, space - begin), begin, space + 1 + vector_bytes};
    }

    std::string mended_;
};

}  // namespace

std::unique_ptr<row_parser> make_binary_parser(const row_layout& layout, row_store& store, element type) {
    return with_element(type, [&](auto value) -> std::unique_ptr<row_parser> {
        return std::make_unique<binary_parser<decltype(value)>>(layout, store);
    });
}

}  // namespace embrow
