// The definition of a token: one code point at a time.
#include "text/split.h"
#include "text/unicode.h"

namespace embrow {
namespace {

enum class run : uint8_t { none, word, other };

run run_of(uint32_t code_point) noexcept {
    const uint8_t found = code_point_class(code_point);
    return found & class_space ? run::none : found & class_word ? run::word : run::other;
}

// Whether what begins with `byte` must not be read.
bool refused(char byte, split_state& state) noexcept {
    if (is_ascii(byte)) return false;
    state.beyond_ascii = true;
    return state.ascii_only;
}

}  // namespace

split_counts split_whitespace_serial(const char* text, size_t size, const char*, uint32_t*, uint32_t* ends,
                                     split_state& state) {
    size_t count = 0;
    bool in_space = state.spill_space;
    for (size_t i = 0; i < size; ++i) {
        if (refused(text[i], state)) break;
        if (!is_continuation(text[i])) {
            in_space = code_point_class(utf8_decode(text + i)) & class_space;
        }
        if (in_space) ends[count++] = static_cast<uint32_t>(i + 1);
    }
    state.spill_space = in_space;
    return {0, count};
}

split_counts split_words_serial(const char* text, size_t size, const char*, uint32_t* starts, uint32_t* ends,
                                split_state& state) {
    split_counts counts{0, 0};
    run current = state.in_word ? run::word : state.in_other ? run::other : run::none;
    size_t i = 0;
    while (i < size && !refused(text[i], state) && is_continuation(text[i])) ++i;
    while (i < size && !refused(text[i], state)) {
        const run next = run_of(utf8_decode(text + i));
        if (next != current) {
            if (current != run::none) ends[counts.ends++] = static_cast<uint32_t>(i);
            if (next != run::none) starts[counts.starts++] = static_cast<uint32_t>(i);
            current = next;
        }
        i += utf8_length(text[i]);
    }
    state.in_word = current == run::word;
    state.in_other = current == run::other;
    return counts;
}

}  // namespace embrow
