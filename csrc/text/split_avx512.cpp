#if defined(__x86_64__)
#include <immintrin.h>

#include <bit>
#include <cstring>

#include "common/variant.h"
#include "text/split.h"
#include "text/unicode.h"

EMBROW_BEGIN_TARGET(EMBROW_AVX512)
#include "text/split_blocks.h"

namespace embrow {
namespace {

struct avx512_block {
    static size_t lowest(uint64_t bits) noexcept { return _tzcnt_u64(bits); }

    // Bit i: low <= block[i] <= low + span, as unsigned bytes.
    static uint64_t within(__m512i bytes, char low, char span) noexcept {
        return _mm512_cmple_epu8_mask(_mm512_sub_epi8(bytes, _mm512_set1_epi8(low)), _mm512_set1_epi8(span));
    }

    template <bool words>
    static block_classes classify(const char* block) noexcept {
        const __m512i bytes = _mm512_loadu_si512(block);
        uint64_t word = 0;
        if constexpr (words) {
            word = within(_mm512_or_si512(bytes, _mm512_set1_epi8(0x20)), 'a', 25) | within(bytes, '0', 9) |
                   _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('_'));
        }
        return {within(bytes, 0x09, 4) | within(bytes, 0x1C, 4), word, _mm512_movepi8_mask(bytes)};
    }

    // The first bytes of the code points to look up: all, or those that a space beyond ASCII begins with.
    template <bool words>
    static uint64_t leads(const char* block) noexcept {
        const __m512i bytes = _mm512_loadu_si512(block);
        if constexpr (words) return within(bytes, static_cast<char>(0xC0), 0x3F);
        return _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(static_cast<char>(0xC2))) |
               within(bytes, static_cast<char>(0xE1), 2);
    }
};

}  // namespace

split_counts split_whitespace_avx512(const char* text, size_t size, const char* row_end, uint32_t* starts,
                                     uint32_t* ends, split_state& state) {
    return split_blocks<false, avx512_block>(text, size, row_end, starts, ends, state);
}

split_counts split_words_avx512(const char* text, size_t size, const char* row_end, uint32_t* starts, uint32_t* ends,
                                split_state& state) {
    return split_blocks<true, avx512_block>(text, size, row_end, starts, ends, state);
}

}  // namespace embrow
EMBROW_END_TARGET
#endif
