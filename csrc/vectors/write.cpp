#include "vectors/write.h"

#include <charconv>

namespace embrow {

void append_binary_row(std::string& out, std::string_view token, const float* row, size_t dim) {
    out.append(token);
    out.push_back(' ');
    out.append(reinterpret_cast<const char*>(row), 4 * dim);
}

template <class T>
void append_text_row(std::string& out, std::string_view token, const T* row, size_t dim) {
    out.append(token);
    char digits[32];
    for (size_t i = 0; i < dim; ++i) {
        out.push_back(' ');
        const auto written = std::to_chars(digits, digits + sizeof digits, row[i]);
        out.append(digits, written.ptr);
    }
    out.push_back('\n');
}

template void append_text_row<float>(std::string&, std::string_view, const float*, size_t);
template void append_text_row<double>(std::string&, std::string_view, const double*, size_t);

}  // namespace embrow
