// What every fuzz target begins and ends with, for libFuzzer; one source file includes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace embrow::testing {

// Stops the fuzzer at an input for which a target's expectation does not hold.
inline void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "FAILED: %s\n", what);
    std::abort();
}

// The target.
void fuzz(const uint8_t* data, size_t size);

}  // namespace embrow::testing

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    embrow::testing::fuzz(data, size);
    return 0;
}
