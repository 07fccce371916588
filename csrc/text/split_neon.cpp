#if defined(__aarch64__)
#include <arm_neon.h>

#include "text/split_blocks.h"

namespace embrow {
namespace {

struct neon_block {
    static size_t lowest(uint64_t bits) noexcept { return static_cast<size_t>(std::countr_zero(bits)); }

    // The block, or for each of its bytes 0xFF or 0.
    using vectors = uint8x16x4_t;

    static vectors load(const char* block) noexcept { return vld1q_u8_x4(reinterpret_cast<const uint8_t*>(block)); }

    template <class Test>
    static vectors each(const vectors& bytes, Test&& test) noexcept {
        return {{test(bytes.val[0]), test(bytes.val[1]), test(bytes.val[2]), test(bytes.val[3])}};
    }

    // Bit i: byte i is 0xFF. Each byte keeps its own bit of eight, and neighbours are added three times over:
    //
    //     64 bytes     FF 00 FF FF  00 00 00 FF  ...
    //     bits         01 00 04 08  00 00 00 80  ...
    //     8 bytes      8D ...
    static uint64_t mask(const vectors& flags) noexcept {
        alignas(16) static constexpr uint8_t bits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
        const uint8x16_t own = vld1q_u8(bits);
        const uint8x16_t low = vpaddq_u8(vandq_u8(flags.val[0], own), vandq_u8(flags.val[1], own));
        const uint8x16_t high = vpaddq_u8(vandq_u8(flags.val[2], own), vandq_u8(flags.val[3], own));
        const uint8x16_t quarters = vpaddq_u8(low, high);
        return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(quarters, quarters)), 0);
    }

    // low <= byte <= low + span
    static uint8x16_t within(uint8x16_t bytes, uint8_t low, uint8_t span) noexcept {
        return vcleq_u8(vsubq_u8(bytes, vdupq_n_u8(low)), vdupq_n_u8(span));
    }

    static uint8x16_t space(uint8x16_t bytes) noexcept {
        return vorrq_u8(within(bytes, 0x09, 4), within(bytes, 0x1C, 4));
    }

    static uint8x16_t word_byte(uint8x16_t bytes) noexcept {
        const uint8x16_t letters = within(vorrq_u8(bytes, vdupq_n_u8(0x20)), 'a', 25);
        return vorrq_u8(vorrq_u8(letters, within(bytes, '0', 9)), vceqq_u8(bytes, vdupq_n_u8('_')));
    }

    static uint8x16_t beyond_ascii(uint8x16_t bytes) noexcept { return vcgeq_u8(bytes, vdupq_n_u8(0x80)); }

    template <bool words>
    static block_classes classify(const char* block) noexcept {
        const vectors bytes = load(block);
        return {mask(each(bytes, space)), words ? mask(each(bytes, word_byte)) : 0, mask(each(bytes, beyond_ascii))};
    }

    template <bool words>
    static uint8x16_t lead_byte(uint8x16_t bytes) noexcept {
        if constexpr (words) return within(bytes, 0xC0, 0x3F);
        return vorrq_u8(vceqq_u8(bytes, vdupq_n_u8(0xC2)), within(bytes, 0xE1, 2));
    }

    // The first bytes of the code points to look up: all, or those that a space beyond ASCII begins with.
    template <bool words>
    static uint64_t leads(const char* block) noexcept {
        return mask(each(load(block), lead_byte<words>));
    }
};

}  // namespace

split_counts split_whitespace_neon(const char* text, size_t size, const char* row_end, uint32_t* starts, uint32_t* ends,
                                   split_state& state) {
    return split_blocks<false, neon_block>(text, size, row_end, starts, ends, state);
}

split_counts split_words_neon(const char* text, size_t size, const char* row_end, uint32_t* starts, uint32_t* ends,
                              split_state& state) {
    return split_blocks<true, neon_block>(text, size, row_end, starts, ends, state);
}

}  // namespace embrow
#endif
