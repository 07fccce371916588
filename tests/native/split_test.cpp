// Every splitter that this CPU runs finds the tokens that the serial one finds, at the same places, also where nobody
// has checked that a row is UTF-8; and it refuses what is not.
#include <random>

#include "check.h"
#include "common/variant.h"
#include "text/split.h"
#include "tokens_of.h"

namespace embrow::testing {
namespace {

constexpr size_t segment = 2048;

struct splitter {
    variant needs;
    tokenizer kind;

    std::string name() const {
        return std::string(variant_name(needs)) + (kind == tokenizer::words ? " words" : " whitespace");
    }
};

class split_test {
  public:
    explicit split_test(const splitter& tested) : tested_(tested), options_{tested.kind, false} {}

    void begin(const std::string& what) { cases_.begin(tested_.name() + ", " + what); }

    void check(const std::string& text) {
        const exact_row kept(text);
        text_rows rows;
        rows.rows = {kept.row()};
        use_variant("serial");
        const row_tokens expected = tokens_of(rows, 0, options_);
        use_variant(variant_name(tested_.needs));
        same(text, expected, tokens_of(rows, 0, options_));
        rows.rows = {{kept.row().data(), text.size(), encoding::unchecked_utf8}};
        same(text, expected, tokens_of(rows, 0, options_));
        use_variant("serial");
        same(text, expected, tokens_of(rows, 0, options_));
    }

    // Of any bytes.
    void check_fault(const std::string& bytes) {
        const exact_row kept(bytes.data(), bytes.size(), encoding::unchecked_utf8);
        text_rows rows;
        rows.rows = {kept.row()};
        const size_t bad = utf8_fault(bytes);
        for (const char* variant : {variant_name(tested_.needs), "serial"}) {
            use_variant(variant);
            const row_tokens found = tokens_of(rows, 0, options_);
            const bool right = bad == utf8_valid ? !found.fault
                                                 : found.tokens.empty() && found.fault &&
                                                       found.fault->what == text_fault::kind::invalid_utf8 &&
                                                       found.fault->at == static_cast<int64_t>(bad);
            if (right) continue;
            cases_.fail(variant + std::string(" does not stop at byte ") + std::to_string(bad) + " of " +
                        std::to_string(bytes.size()) + shown(bytes));
        }
    }

    static cases& all() { return cases_; }

  private:
    void same(const std::string& text, const row_tokens& expected, const row_tokens& found) {
        if (found.places == expected.places && found.tokens == expected.tokens && !found.fault) return;
        cases_.fail("a row of " + std::to_string(text.size()) + " bytes has " + std::to_string(found.tokens.size()) +
                    " tokens, serial finds " + std::to_string(expected.tokens.size()) + where(found, expected) +
                    shown(text));
    }

    static std::string where(const row_tokens& found, const row_tokens& expected) {
        size_t same = 0;
        while (same < std::min(found.tokens.size(), expected.tokens.size()) &&
               found.places[same] == expected.places[same] && found.tokens[same] == expected.tokens[same]) {
            ++same;
        }
        return ", alike up to token " + std::to_string(same);
    }

    static std::string shown(const std::string& text) {
        std::string hex = ":";
        char digits[4];
        for (const char byte : text.substr(0, 400)) {
            std::snprintf(digits, sizeof digits, " %02x", static_cast<unsigned char>(byte));
            hex += digits;
        }
        return hex;
    }

    static inline cases cases_;
    splitter tested_;
    text_options options_;
};

std::vector<std::string> all_spaces() {
    std::vector<std::string> found;
    for (uint32_t i = 0; i < code_points; ++i) {
        if (!is_surrogate(i) && (code_point_class(i) & class_space)) found.push_back(utf8_of(i));
    }
    return found;
}

// Where a code point may straddle: the ends of blocks and of segments.
std::vector<size_t> edges() {
    std::vector<size_t> found;
    for (const size_t edge : {size_t{0}, split_block, 2 * split_block, segment, 2 * segment}) {
        for (size_t at = edge > 5 ? edge - 5 : 0; at <= edge + 2; ++at) found.push_back(at);
    }
    return found;
}

// One of each length and class, with lead bytes that spaces share and lead bytes that they do not.
std::vector<std::string> samples() {
    std::vector<std::string> found;
    for (const uint32_t i : {0x41,   0x2E,   0x5F,   0x00,   0x7F,    0xA0,    0x85,    0xA7,    0xE9,    0x301,
                             0x660,  0x1680, 0x2003, 0x200B, 0x2028,  0x202F,  0x205F,  0x2060,  0x20AC,  0x3000,
                             0x3001, 0x6F22, 0xFEFF, 0xFFFD, 0x10000, 0x1F642, 0x1D7D8, 0x20000, 0x10FFFF}) {
        found.push_back(utf8_of(i));
    }
    return found;
}

void test_code_points(split_test& test) {
    test.begin("every code point");
    std::string text;
    for (uint32_t i = 0; i < code_points; ++i) {
        if (!is_surrogate(i)) text += "a" + utf8_of(i) + "b" + utf8_of(i) + ".";
        if (i % 0x400 != 0x3FF) continue;
        test.check(text);
        text.clear();
    }
}

void test_edges(split_test& test) {
    test.begin("every space at the ends of blocks and segments");
    for (const std::string& space : all_spaces()) {
        for (const size_t at : edges()) {
            for (const char* before : {"x", ".", " "}) {
                std::string text;
                for (size_t i = 0; i < at; ++i) text += before;
                test.check(text + space);
                test.check(text + space + "y");
                test.check(text + space + space + std::string(70, 'y') + space);
            }
        }
    }
    test.begin("code points of every length at the ends of blocks and segments");
    for (const std::string& one : samples()) {
        for (const std::string& other : samples()) {
            for (const size_t at : edges()) test.check(std::string(at, 'x') + one + other + "z " + one);
        }
    }
}

void test_sizes(split_test& test) {
    test.begin("rows of every size");
    for (const std::string& one : samples()) {
        std::string text;
        while (text.size() < 3 * split_block) {
            test.check(text);
            text += one;
        }
        while (text.size() < 2 * segment + 3) text += one;
        test.check(text);
    }
}

void test_mixes(split_test& test, std::mt19937_64& random) {
    test.begin("random mixes");
    const std::vector<std::string> spaces = all_spaces();
    const std::vector<std::string> others = samples();
    const auto below = [&](size_t limit) { return random() % limit; };
    for (int round = 0; round < 3000; ++round) {
        const size_t alphabet_size = 1 + below(6);
        std::vector<std::string> alphabet;
        while (alphabet.size() < alphabet_size) {
            const size_t from = below(4);
            uint32_t any = static_cast<uint32_t>(below(code_points));
            while (is_surrogate(any)) any = static_cast<uint32_t>(below(code_points));
            alphabet.push_back(from == 0   ? spaces[below(spaces.size())]
                               : from == 1 ? others[below(others.size())]
                               : from == 2 ? utf8_of(any)
                                           : std::string(1, static_cast<char>(below(128))));
        }
        const size_t size = below(round % 10 == 0 ? 3 * segment : 4 * split_block);
        std::string text;
        while (text.size() < size) {
            const std::string& next = alphabet[below(alphabet.size())];
            for (size_t run = 1 + (below(4) == 0 ? below(80) : 0); run > 0; --run) text += next;
        }
        test.check(text);
    }
}

void test_any_bytes(split_test& test, std::mt19937_64& random) {
    test.begin("any bytes");
    const auto below = [&](size_t limit) { return random() % limit; };
    for (int round = 0; round < 3000; ++round) {
        std::string bytes(below(round % 10 == 0 ? 3 * segment : 4 * split_block), 'a');
        for (char& byte : bytes) {
            if (below(6) == 0) byte = ' ';
        }
        for (size_t bad = bytes.empty() ? 0 : below(4); bad > 0; --bad) {
            const size_t at = below(bytes.size());
            for (size_t i = at; i < std::min(at + 1 + below(4), bytes.size()); ++i) {
                bytes[i] = static_cast<char>(0x80 + below(128));
            }
        }
        test.check_fault(bytes);
    }
}

int run() {
    std::mt19937_64 random(20240229);
    for (const variant needs : available_variants()) {
        if (needs == variant::serial) continue;
        for (const tokenizer kind : {tokenizer::whitespace, tokenizer::words}) {
            split_test test({needs, kind});
            test_code_points(test);
            test_edges(test);
            test_sizes(test);
            test_mixes(test, random);
            test_any_bytes(test, random);
        }
    }
    return split_test::all().finish();
}

}  // namespace
}  // namespace embrow::testing

int main() {
    return embrow::testing::run();
}
