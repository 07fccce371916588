#if defined(__x86_64__)
#include <immintrin.h>

#include <bit>
#include <cstdint>
#include <cstring>

#include "common/variant.h"
#include "text/split.h"
#include "text/unicode.h"

EMBROW_BEGIN_TARGET(EMBROW_AVX2)
#include "text/split_blocks.h"

namespace embrow {
namespace {

struct avx2_block {
    static size_t lowest(uint64_t bits) noexcept { return _tzcnt_u64(bits); }

    // Bit i: low <= block[i] <= low + span, as unsigned bytes.
    static __m256i within(__m256i bytes, char low, char span) noexcept {
        // Comparisons are signed: `low` becomes the least number.
        const __m256i shifted = _mm256_sub_epi8(bytes, _mm256_set1_epi8(static_cast<char>(low - INT8_MIN)));
        return _mm256_cmpgt_epi8(_mm256_set1_epi8(static_cast<char>(span + 1 + INT8_MIN)), shifted);
    }

    static uint64_t mask(__m256i low, __m256i high) noexcept {
        return static_cast<uint32_t>(_mm256_movemask_epi8(low)) |
               static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_epi8(high))) << 32;
    }

    static __m256i load(const char* from) noexcept {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    }

    static __m256i spaces(__m256i bytes) noexcept {
        return _mm256_or_si256(within(bytes, 0x09, 4), within(bytes, 0x1C, 4));
    }

    static __m256i word_bytes(__m256i bytes) noexcept {
        const __m256i letters = within(_mm256_or_si256(bytes, _mm256_set1_epi8(0x20)), 'a', 25);
        return _mm256_or_si256(_mm256_or_si256(letters, within(bytes, '0', 9)),
                               _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('_')));
    }

    template <bool words>
    static block_classes classify(const char* block) noexcept {
        const __m256i low = load(block);
        const __m256i high = load(block + 32);
        return {mask(spaces(low), spaces(high)), words ? mask(word_bytes(low), word_bytes(high)) : 0, mask(low, high)};
    }

    template <bool words>
    static __m256i lead_bytes(__m256i bytes) noexcept {
        if constexpr (words) return within(bytes, static_cast<char>(0xC0), 0x3F);
        return _mm256_or_si256(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(static_cast<char>(0xC2))),
                               within(bytes, static_cast<char>(0xE1), 2));
    }

    // The first bytes of the code points to look up: all, or those that a space beyond ASCII begins with.
    template <bool words>
    static uint64_t leads(const char* block) noexcept {
        return mask(lead_bytes<words>(load(block)), lead_bytes<words>(load(block + 32)));
    }
};

}  // namespace

split_counts split_whitespace_avx2(const char* text, size_t size, const char* row_end, uint32_t* starts, uint32_t* ends,
                                   split_state& state) {
    return split_blocks<false, avx2_block>(text, size, row_end, starts, ends, state);
}

split_counts split_words_avx2(const char* text, size_t size, const char* row_end, uint32_t* starts, uint32_t* ends,
                              split_state& state) {
    return split_blocks<true, avx2_block>(text, size, row_end, starts, ends, state);
}

}  // namespace embrow
EMBROW_END_TARGET
#endif
