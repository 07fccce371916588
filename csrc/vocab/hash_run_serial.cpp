#include "vocab/hash_pieces.h"

namespace embrow {
namespace {

struct serial_hasher {
    hash_seed seed;

    explicit serial_hasher(const hash_seed& from) noexcept : seed(from) {}

    void hash(const char* loadable, size_t size, hashed_token& out) const noexcept {
        out = hash_inline(loadable, size, seed);
    }
};

}  // namespace

hashed_token* hash_run_serial(const token_run& run, size_t begin, size_t end, const hash_seed& seed,
                              std::span<const uint32_t> index, hashed_token* out) {
    return hash_run<serial_hasher>(run, begin, end, seed, index, out);
}

}  // namespace embrow
