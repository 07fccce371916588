// windows of a file's bytes -> rows of a table.
//
// The caller reads the header, makes the parser for the format, and pushes the bytes after the header through feed() in
// windows of any size. feed() takes whole rows and returns how many bytes it used; the caller shows the rest again with
// more bytes behind it. The rows kept are the same for every cut into windows and every number of threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "text/utf8.h"
#include "vectors/row_store.h"

namespace embrow {

// The file ends inside a row, or before the rows its header declares.
class cut_short : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// The bytes are not what the format says.
class bad_vectors : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

struct row_layout {
    size_t dim;
    std::optional<int64_t> declared;  // rows, by the header
    int64_t limit;                    // rows to read at most
    int64_t offset;                   // of the first row in the file, in bytes
    bad_utf8 unicode_errors;
};

// A row longer than this is taken for damage, so the caller's window stays bounded.
constexpr size_t max_row_bytes = size_t{64} << 20;

class row_parser {
  public:
    row_parser(const row_layout& layout, row_store& store)
        : layout_(layout),
          store_(store),
          offset_(layout.offset),
          goal_(layout.declared ? std::min(layout.limit, *layout.declared) : layout.limit) {}
    virtual ~row_parser() = default;
    row_parser(const row_parser&) = delete;
    row_parser& operator=(const row_parser&) = delete;

    // `last`: no bytes follow the window. Throws cut_short and bad_vectors.
    size_t feed(std::string_view window, bool last, int threads);

    // All rows that were declared, or that the limit allows, are read.
    bool done() const noexcept { return store_.rows_read() >= goal_; }
    // Bytes used, header included.
    int64_t offset() const noexcept { return offset_; }

  protected:
    virtual size_t parse(std::string_view window, bool last, int threads) = 0;

    row_layout layout_;
    row_store& store_;
    int64_t offset_;  // of the window's first byte

  private:
    int64_t goal_;  // rows
};

// word2vec's binary form: token, a space, dim little-endian float32, and a newline or not.
std::unique_ptr<row_parser> make_binary_parser(const row_layout& layout, row_store& store, element type);

// Lines of a token and dim decimal numbers. `token_spaces`: the last dim fields are the vector, whatever stands before
// them the token (GloVe); else the token is the first field (word2vec, fastText .vec).
std::unique_ptr<row_parser> make_text_parser(const row_layout& layout, row_store& store, element type,
                                             bool token_spaces);
}  // namespace embrow
