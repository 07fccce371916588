#if defined(__x86_64__)
#include <immintrin.h>

#include "common/variant.h"
#include "vocab/hash_run.h"
#include "vocab/slots.h"

EMBROW_BEGIN_TARGET(EMBROW_AVX2)
#include "vocab/hash_pieces.h"

namespace embrow {
namespace {

// hash_inline, with the key in one register.
struct avx2_hasher {
    __m128i seed;

    explicit avx2_hasher(const hash_seed& from) noexcept : seed(load(from.word.data())) {}

    static __m128i load(const void* from) noexcept { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }

    void hash(const char* loadable, size_t size, hashed_token& out) const noexcept {
        const __m128i kept = _mm_and_si128(load(loadable), load(&key_parts.mask[size]));
        const __m128i key = _mm_or_si128(kept, load(&key_parts.size[size]));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(&out.key), key);
        const __m128i seeded = _mm_xor_si128(key, seed);
        unsigned long long high;
        const unsigned long long low = _mulx_u64(static_cast<uint64_t>(_mm_cvtsi128_si64(seeded)),
                                                 static_cast<uint64_t>(_mm_extract_epi64(seeded, 1)), &high);
        out.hash = low ^ high;
    }
};

}  // namespace

hashed_token* hash_run_avx2(const token_run& run, size_t begin, size_t end, const hash_seed& seed,
                            std::span<const uint32_t> index, hashed_token* out) {
    return hash_run<avx2_hasher>(run, begin, end, seed, index, out);
}

}  // namespace embrow
EMBROW_END_TARGET
#endif
