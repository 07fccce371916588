#include "common/checksum.h"

#include <algorithm>
#include <vector>

#include "common/hash.h"
#include "common/load.h"
#include "common/threads.h"

namespace embrow {
namespace {

constexpr size_t block_bytes = size_t{1} << 18;
// Digits of pi, as good as any.
constexpr uint64_t key[4] = {0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89};

// Four lanes, so that the multiplications overlap.
uint64_t block_sum(const char* bytes, size_t size, uint64_t number) noexcept {
    uint64_t lane[4] = {number, size, 0, 0};
    size_t i = 0;
    for (; i + 64 <= size; i += 64) {
        for (size_t k = 0; k < 4; ++k) {
            lane[k] = fold(load8(bytes + i + 16 * k) ^ key[k], load8(bytes + i + 16 * k + 8) ^ lane[k] ^ key[3 - k]);
        }
    }
    char tail[64] = {};
    std::copy(bytes + i, bytes + size, tail);
    for (size_t k = 0; k < 4; ++k) {
        lane[k] = fold(load8(tail + 16 * k) ^ key[k], load8(tail + 16 * k + 8) ^ lane[k] ^ key[3 - k]);
    }
    return fold(lane[0] ^ lane[1] ^ key[0], lane[2] ^ lane[3] ^ key[1]);
}

}  // namespace

uint64_t checksum(const char* bytes, size_t size, int threads) {
    std::vector<uint64_t> sums(task_count(size, block_bytes));
    parallel_for(threads, sums.size(), [&](size_t block) {
        const size_t at = block * block_bytes;
        sums[block] = block_sum(bytes + at, std::min(block_bytes, size - at), block);
    });
    uint64_t sum = size;
    for (const uint64_t of_block : sums) sum = fold(sum ^ of_block ^ key[2], key[3] ^ of_block);
    return sum;
}

}  // namespace embrow
