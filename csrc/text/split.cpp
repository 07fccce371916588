#include "text/split.h"

#include "common/variant.h"

namespace embrow {

split_kernel* choose_split(tokenizer kind) noexcept {
    static constexpr candidate<split_kernel> whitespace[] = {
#if defined(__x86_64__)
        {variant::avx512, split_whitespace_avx512},
        {variant::avx2, split_whitespace_avx2},
#endif
#if defined(__aarch64__)
        {variant::neon, split_whitespace_neon},
#endif
        {variant::serial, split_whitespace_serial},
    };
    static constexpr candidate<split_kernel> words[] = {
#if defined(__x86_64__)
        {variant::avx512, split_words_avx512},
        {variant::avx2, split_words_avx2},
#endif
#if defined(__aarch64__)
        {variant::neon, split_words_neon},
#endif
        {variant::serial, split_words_serial},
    };
    return kind == tokenizer::whitespace ? choose(whitespace) : choose(words);
}

}  // namespace embrow
