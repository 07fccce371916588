#include "vectors/vectors.h"

namespace embrow {

size_t row_parser::feed(std::string_view window, bool last, int threads) {
    const size_t used = done() ? 0 : parse(window, last, threads);
    offset_ += static_cast<int64_t>(used);
    if (done()) return used;
    const auto row = std::to_string(store_.rows_read());
    if (last && layout_.declared) {
        const auto end = offset_ + static_cast<int64_t>(window.size() - used);
        throw cut_short("the file ends at byte " + std::to_string(end) + ", in token " + row +
                        "; its header declares " + std::to_string(*layout_.declared) + " rows of " +
                        std::to_string(layout_.dim));
    }
    if (window.size() - used > max_row_bytes) {
        throw bad_vectors("byte " + std::to_string(offset_) + ": token " + row + " with its vector of " +
                          std::to_string(layout_.dim) + " is longer than " + std::to_string(max_row_bytes) +
                          " bytes; is this the right format?");
    }
    return used;
}

}  // namespace embrow
