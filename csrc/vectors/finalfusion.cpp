#include <cstring>

#include "vectors/dictionary.h"

namespace embrow {
namespace {

class finalfusion_dictionary final : public dictionary_parser {
  public:
    finalfusion_dictionary(const dictionary_layout& layout, row_store& store, bool listed_rows)
        : dictionary_parser(layout, store), listed_rows_(listed_rows) {}

  private:
    entry parse(std::string_view window, int64_t number) const override {
        constexpr size_t size_bytes = 4;
        if (window.size() < size_bytes) return {};
        uint32_t size = 0;
        std::memcpy(&size, window.data(), size_bytes);
        if (size > max_word_bytes) refuse(offset_, number, " claims " + std::to_string(size) + " bytes");
        const size_t end = size_bytes + size;
        const size_t row_bytes = listed_rows_ ? 8 : 0;
        if (window.size() < end + row_bytes) return {};
        uint64_t row = static_cast<uint64_t>(number);
        if (listed_rows_) std::memcpy(&row, window.data() + end, row_bytes);
        if (row >> 48 != 0) {
            refuse(offset_ + static_cast<int64_t>(end), number, " of the n-grams has row " + std::to_string(row));
        }
        return {window.substr(size_bytes, size), size_bytes, end + row_bytes, static_cast<int64_t>(row)};
    }

    bool listed_rows_;
};

}  // namespace

std::unique_ptr<dictionary_parser> make_finalfusion_dictionary(const dictionary_layout& layout, row_store& store,
                                                               bool listed_rows) {
    return std::make_unique<finalfusion_dictionary>(layout, store, listed_rows);
}

}  // namespace embrow
