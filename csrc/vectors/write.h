// rows of a table -> the bytes of a vector file.
#pragma once

#include <string>
#include <string_view>

#include "vectors/round.h"

namespace embrow {

// A token, a space, dim little-endian float32. Rows are float32.
void append_binary_row(std::string& out, std::string_view token, const float* row, size_t dim);

// A token, then dim numbers after a space each, then a newline: the shortest decimals that read back as the same T.
template <class T>
void append_text_row(std::string& out, std::string_view token, const T* row, size_t dim);

extern template void append_text_row<float>(std::string&, std::string_view, const float*, size_t);
extern template void append_text_row<double>(std::string&, std::string_view, const double*, size_t);

}  // namespace embrow
