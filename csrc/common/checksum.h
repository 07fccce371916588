// Bytes -> 64 bits that change when the bytes do: what saved files carry to show damage. No defence against forgery.
#pragma once

#include <cstddef>
#include <cstdint>

namespace embrow {

// The same for any number of threads, on every machine.
uint64_t checksum(const char* bytes, size_t size, int threads);

}  // namespace embrow
