#include <algorithm>
#include <cstring>
#include <vector>

#include "common/threads.h"
#include "vectors/number.h"
#include "vectors/vectors.h"

namespace embrow {
namespace {

constexpr size_t chunk_bytes = size_t{256} << 10;

constexpr bool is_separator(char c) noexcept {
    return c == ' ' || c == '\t';
}

// Fields of at most `most`, for messages.
std::string shown(std::string_view field, size_t most = 24) {
    std::string text;
    for (const char c : field.substr(0, most)) text += c >= 0x20 && c < 0x7f ? c : '?';
    return field.size() > most ? text + "..." : text;
}

size_t count_fields(std::string_view line) noexcept {
    size_t fields = 0;
    bool inside = false;
    for (const char c : line) {
        fields += !is_separator(c) && !inside;
        inside = !is_separator(c);
    }
    return fields;
}

// The end of the token when the last `dim` fields of the line are the vector, or npos when there are too few. The line
// does not end with a separator.
size_t token_end_from_back(std::string_view line, size_t dim) noexcept {
    size_t at = line.size();
    for (size_t field = 0; field < dim; ++field) {
        while (at > 0 && !is_separator(line[at - 1])) --at;
        if (at == 0) return std::string_view::npos;
        while (at > 0 && is_separator(line[at - 1])) --at;
    }
    return at;
}

struct line_fault {
    size_t position = 0;  // in the window
    std::string text;     // what follows "token N"
};

// What one task found in its share of a window.
template <class T>
struct chunk {
    struct row {
        std::string_view token;
        bool parsed;  // its elements are the next dim of `values`
        bool bad_utf8;
    };
    std::vector<row> rows;
    std::vector<T> values;
    std::vector<std::string> mended;
    bool faulty = false;
    line_fault fault;  // of the line after `rows`

    void clear() noexcept {
        rows.clear();
        values.clear();
        mended.clear();
        faulty = false;
    }
};

template <class T>
class text_parser final : public row_parser {
  public:
    text_parser(const row_layout& layout, row_store& store, bool token_spaces)
        : row_parser(layout, store), token_spaces_(token_spaces) {}

  private:
    size_t parse(std::string_view window, bool last, int threads) override {
        const size_t used = last ? window.size() : window.rfind('\n') + 1;
        const std::vector<std::string_view> parts = split(window.substr(0, used));
        if (chunks_.size() < parts.size()) chunks_.resize(parts.size());
        parallel_for(threads, parts.size(), [&](size_t i) { parse_lines(window, parts[i], chunks_[i]); });
        for (size_t i = 0; i < parts.size(); ++i) {
            merge(window, chunks_[i], last);
            if (done()) return end_of_last_row(window);
        }
        return used;
    }

    // Whole lines of about chunk_bytes, so that the cut does not depend on the number of threads.
    static std::vector<std::string_view> split(std::string_view lines) {
        std::vector<std::string_view> parts;
        while (!lines.empty()) {
            size_t end = lines.size();
            if (end > chunk_bytes) {
                const size_t newline = lines.find('\n', chunk_bytes);
                if (newline != std::string_view::npos) end = newline + 1;
            }
            parts.push_back(lines.substr(0, end));
            lines.remove_prefix(end);
        }
        return parts;
    }

    void parse_lines(std::string_view window, std::string_view lines, chunk<T>& out) const {
        out.clear();
        while (!lines.empty() && !out.faulty) {
            const size_t newline = lines.find('\n');
            std::string_view line = lines.substr(0, newline);
            lines.remove_prefix(newline == std::string_view::npos ? lines.size() : newline + 1);
            while (!line.empty() && (is_separator(line.back()) || line.back() == '\r')) line.remove_suffix(1);
            if (!line.empty()) parse_line(window, line, out);
        }
    }

    void parse_line(std::string_view window, std::string_view line, chunk<T>& out) const {
        const size_t dim = layout_.dim;
        const char* const line_end = line.data() + line.size();
        const auto fail = [&](const char* at, std::string text) {
            out.faulty = true;
            out.fault = {static_cast<size_t>(at - window.data()), std::move(text)};
        };
        const size_t old_size = out.values.size();

        // Nearly every token is the first field, and then the numbers need no second look.
        size_t token_end = 0;
        while (token_end < line.size() && !is_separator(line[token_end])) ++token_end;
        typename chunk<T>::row row{line.substr(0, token_end), false, false};
        bool first_field = false;
        if (store_.select()) {
            const auto separators = static_cast<size_t>(std::count_if(line.begin(), line.end(), is_separator));
            first_field = separators == dim;
        } else {
            out.values.resize(old_size + dim);
            const parsed_values parsed = parse_values(line.data() + token_end, line_end, &out.values[old_size]);
            first_field = parsed.stop == line_end && parsed.count == dim;
            row.parsed = first_field;
        }
        if (!first_field) {
            out.values.resize(old_size);
            token_end = token_end_from_back(line, dim);
            const bool has_token = token_end != std::string_view::npos;
            if (!has_token || (!token_spaces_ && count_fields(line.substr(0, token_end)) != 1)) {
                return fail(line.data(), " has " + std::to_string(count_fields(line)) + " fields, a token and " +
                                             std::to_string(dim) + " numbers are needed");
            }
            row.token = line.substr(0, token_end);
        }
        if (const size_t bad = utf8_fault(row.token); bad != utf8_valid) {
            if (layout_.unicode_errors == bad_utf8::strict) {
                out.values.resize(old_size);
                return fail(row.token.data() + bad,
                            " is not UTF-8; pass unicode_errors=\"replace\" or \"ignore\" to read it");
            }
            row.bad_utf8 = true;
        }
        std::string mended;
        if (row.bad_utf8) mended = mend_utf8(row.token, layout_.unicode_errors);
        const std::string_view token = row.bad_utf8 ? std::string_view(mended) : row.token;
        if (!row.parsed && store_.wants(token)) {
            out.values.resize(old_size + dim);
            const parsed_values parsed =
                parse_values(row.token.data() + row.token.size(), line_end, &out.values[old_size]);
            if (parsed.count != dim) {
                out.values.resize(old_size);
                const char* const field_end = std::find_if(parsed.stop, line_end, is_separator);
                return fail(parsed.stop, ", field " + std::to_string(parsed.count) + " of its vector is \"" +
                                             shown({parsed.stop, static_cast<size_t>(field_end - parsed.stop)}) +
                                             "\", not a number");
            }
            row.parsed = true;
        }
        if (row.bad_utf8) out.mended.push_back(std::move(mended));
        out.rows.push_back(row);
    }

    // Reads up to dim numbers. `stop` is where the first field starts that is none, or where the last number ends.
    struct parsed_values {
        size_t count;
        const char* stop;
    };
    parsed_values parse_values(const char* at, const char* end, T* values) const {
        for (size_t i = 0; i < layout_.dim; ++i) {
            while (at != end && is_separator(*at)) ++at;
            if (at == end) return {i, at};
            double value = 0;
            const char* const stop = parse_number(at, end, value);
            if (stop == nullptr || (stop != end && !is_separator(*stop))) return {i, at};
            values[i] = to_element<T>(value);
            at = stop;
        }
        return {layout_.dim, at};
    }

    void merge(std::string_view window, const chunk<T>& part, bool last) {
        size_t value = 0;
        size_t mended = 0;
        for (const auto& row : part.rows) {
            if (done()) return;
            const std::string_view token = row.bad_utf8 ? std::string_view(part.mended[mended]) : row.token;
            if (row.bad_utf8) {
                store_.count_bad_utf8();
                ++mended;
            }
            end_of_row_ = row.token.data() + row.token.size();
            if (!row.parsed) {
                store_.pass();
                continue;
            }
            if (std::byte* to = store_.take(token)) std::memcpy(to, &part.values[value], layout_.dim * sizeof(T));
            value += layout_.dim;
        }
        if (part.faulty && !done()) {
            const std::string where = "byte " + std::to_string(offset_ + static_cast<int64_t>(part.fault.position)) +
                                      ": token " + std::to_string(store_.rows_read()) + part.fault.text;
            if (last && window.find('\n', part.fault.position) == std::string_view::npos) {
                throw cut_short("the file ends at byte " +
                                std::to_string(offset_ + static_cast<int64_t>(window.size())) + ", in token " +
                                std::to_string(store_.rows_read()) + " (" + where + ")");
            }
            throw bad_vectors(where);
        }
    }

    // Past the line of the last row that counts.
    size_t end_of_last_row(std::string_view window) const {
        const size_t newline = window.find('\n', static_cast<size_t>(end_of_row_ - window.data()));
        return newline == std::string_view::npos ? window.size() : newline + 1;
    }

    bool token_spaces_;
    std::vector<chunk<T>> chunks_;  // kept between windows for their memory
    const char* end_of_row_ = nullptr;
};

}  // namespace

std::unique_ptr<row_parser> make_text_parser(const row_layout& layout, row_store& store, element type,
                                             bool token_spaces) {
    return with_element(type, [&](auto value) -> std::unique_ptr<row_parser> {
        return std::make_unique<text_parser<decltype(value)>>(layout, store, token_spaces);
    });
}

}  // namespace embrow
