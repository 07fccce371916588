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
        std::vector<chunk<T>> chunks(parts.size());
        parallel_for(threads, parts.size(), [&](size_t i) { parse_lines(window, parts[i], chunks[i]); });
        for (const chunk<T>& part : chunks) {
            merge(window, part, last);
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
            first_field = parse_values(line.data() + token_end, line_end, out.values) == line_end &&
                          out.values.size() - old_size == dim;
            row.parsed = first_field;
        }
        if (!first_field) {
            out.values.resize(old_size);
            const size_t fields = count_fields(line);
            token_end = token_end_from_back(line, dim);
            if (token_end == std::string_view::npos ||
                (!token_spaces_ && count_fields(line.substr(0, token_end)) != 1)) {
                const bool no_token = token_end == std::string_view::npos && fields == dim;
                return fail(line.data(), " has " + std::to_string(fields - (no_token ? 0 : 1)) +
                                             (no_token ? " numbers and no text" : " numbers") +
                                             ", the vectors are of " + std::to_string(dim));
            }
            row.token = line.substr(0, token_end);
        }
        if (const size_t bad = first_bad_utf8(row.token); bad != std::string_view::npos) {
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
            const char* const stop = parse_values(row.token.data() + row.token.size(), line_end, out.values);
            if (stop != line_end) {
                const char* field_end = stop;
                while (field_end != line_end && !is_separator(*field_end)) ++field_end;
                const size_t field = out.values.size() - old_size;
                out.values.resize(old_size);
                return fail(stop, ", field " + std::to_string(field) + " of its vector is \"" +
                                      shown({stop, static_cast<size_t>(field_end - stop)}) + "\", not a number");
            }
            row.parsed = true;
        }
        if (row.bad_utf8) out.mended.push_back(std::move(mended));
        out.rows.push_back(row);
    }

    // Appends up to dim numbers. Returns where the first field starts that is none, or where the last one ends.
    const char* parse_values(const char* at, const char* end, std::vector<T>& values) const {
        for (size_t i = 0; i < layout_.dim; ++i) {
            while (at != end && is_separator(*at)) ++at;
            if (at == end) return at;
            double value = 0;
            const char* const stop = parse_number(at, end, value);
            if (stop == nullptr || (stop != end && !is_separator(*stop))) return at;
            values.push_back(to_element<T>(value));
            at = stop;
        }
        return at;
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
