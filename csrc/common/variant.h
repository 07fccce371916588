// CPU features -> which variant of a kernel runs.
//
// Every hub keeps one table of its variants, fastest first, serial last, and takes the first that is usable. Usable is
// decided once from the CPU; the environment's EMBROW_VARIANT caps it, and tests cap it through use_variant().
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// What variants are compiled for.
#if defined(__x86_64__)
#define EMBROW_AVX2 "avx2,bmi,bmi2,lzcnt,popcnt,fma,f16c"
#define EMBROW_AVX512 "avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi,bmi2,lzcnt,popcnt,fma,f16c"
#define EMBROW_TARGET_AVX2 __attribute__((target(EMBROW_AVX2)))
#endif

// All functions between these two are compiled for `features`, which GCC and Clang say differently.
#define EMBROW_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define EMBROW_BEGIN_TARGET(features) \
    EMBROW_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define EMBROW_END_TARGET EMBROW_PRAGMA(clang attribute pop)
#else
#define EMBROW_BEGIN_TARGET(features) EMBROW_PRAGMA(GCC push_options) EMBROW_PRAGMA(GCC target features)
#define EMBROW_END_TARGET EMBROW_PRAGMA(GCC pop_options)
#endif

namespace embrow {

enum class variant : uint8_t { serial, avx2, avx512, neon };

const char* variant_name(variant v);

// The variants this CPU can run, serial first.
std::vector<variant> available_variants();

// Whether kernels marked `v` may run now.
bool variant_usable(variant v) noexcept;

// The fastest variant in use: what hubs choose from it and below it.
variant active_variant() noexcept;

// Caps the choice at `name`; "" lifts the cap. Throws std::invalid_argument for a name that this CPU cannot run.
void use_variant(const std::string& name);

template <class Kernel>
struct candidate {
    variant needs;
    Kernel* kernel;
};

// `table` ends with a serial entry, so something is always found.
template <class Kernel, size_t n>
Kernel* choose(const candidate<Kernel> (&table)[n]) noexcept {
    for (const auto& entry : table) {
        if (variant_usable(entry.needs)) return entry.kernel;
    }
    return table[n - 1].kernel;
}

}  // namespace embrow
