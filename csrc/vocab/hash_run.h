// a run of tokens -> their keys and hashes, and their slots of an index asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "text/token_run.h"
#include "vocab/token.h"

namespace embrow {

// Hashes the tokens among a run's pieces [begin, end) and asks for their slots of `index`, a power of two of them;
// returns the end of what is written to `out`.
using hash_kernel = hashed_token*(const token_run& run, size_t begin, size_t end, const hash_seed& seed,
                                  std::span<const uint32_t> index, hashed_token* out);

hash_kernel* choose_hash() noexcept;

hash_kernel hash_run_serial;
#if defined(__x86_64__)
hash_kernel hash_run_avx2;
#endif

}  // namespace embrow
