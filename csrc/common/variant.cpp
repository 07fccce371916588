#include "common/variant.h"

#include <array>
#include <atomic>
#include <stdexcept>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace embrow {
namespace {

constexpr std::array<variant, 4> all_variants = {variant::serial, variant::avx2, variant::avx512, variant::neon};

#if defined(__x86_64__)
// For what __builtin_cpu_supports has no name in Clang 14: f16c and lzcnt.
constexpr unsigned basic_leaf = 1;
constexpr unsigned extended_leaf = 0x80000001;
constexpr unsigned lzcnt_bit = 1U << 5;  // of the extended leaf

bool cpuid_has(unsigned leaf, unsigned bit) noexcept {
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    return __get_cpuid(leaf, &eax, &ebx, &ecx, &edx) && (ecx & bit) != 0;
}
#endif

bool detect(variant v) noexcept {
    switch (v) {
        case variant::serial:
            return true;
#if defined(__x86_64__)
        case variant::avx2:
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                   __builtin_cpu_supports("fma") && __builtin_cpu_supports("popcnt") &&
                   cpuid_has(basic_leaf, bit_F16C) && cpuid_has(extended_leaf, lzcnt_bit);
        case variant::avx512:
            return detect(variant::avx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
#if defined(__aarch64__)
        case variant::neon:
            return true;
#endif
        default:
            return false;
    }
}

// Asked once: a virtual machine may take microseconds to answer CPUID.
bool cpu_runs(variant v) noexcept {
    static const auto answers = [] {
        std::array<bool, all_variants.size()> found{};
        for (const variant each : all_variants) found[static_cast<size_t>(each)] = detect(each);
        return found;
    }();
    return answers[static_cast<size_t>(v)];
}

variant fastest() noexcept {
    variant best = variant::serial;
    for (variant v : all_variants) {
        if (cpu_runs(v)) best = v;
    }
    return best;
}

std::atomic<variant>& active() noexcept {
    static std::atomic<variant> value{fastest()};
    return value;
}

}  // namespace

const char* variant_name(variant v) {
    switch (v) {
        case variant::serial:
            return "serial";
        case variant::avx2:
            return "avx2";
        case variant::avx512:
            return "avx512";
        case variant::neon:
            return "neon";
    }
    return "unknown";
}

std::vector<variant> available_variants() {
    std::vector<variant> found;
    for (variant v : all_variants) {
        if (cpu_runs(v)) found.push_back(v);
    }
    return found;
}

bool variant_usable(variant v) noexcept {
    return v <= active_variant() && cpu_runs(v);
}

variant active_variant() noexcept {
    return active().load(std::memory_order_relaxed);
}

void use_variant(const std::string& name) {
    if (name.empty()) {
        active() = fastest();
        return;
    }
    std::string usable;
    for (variant v : available_variants()) {
        if (name == variant_name(v)) {
            active() = v;
            return;
        }
        usable += (usable.empty() ? "" : ", ") + std::string(variant_name(v));
    }
    throw std::invalid_argument("EMBROW_VARIANT is \"" + name + "\"; this CPU runs " + usable);
}

}  // namespace embrow
