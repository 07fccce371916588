// Waiting without sleep.
//
// Waking a thread that sleeps takes tens of microseconds, many times that in a virtual machine whose core has halted.
// What is waited for often comes sooner, so threads look for it this often before they sleep: for some 0.1 ms.
#pragma once

namespace embrow {

inline constexpr int spins = 4096;

inline void pause() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb");
#endif
}

template <class Condition>
void spin_until(const Condition& holds) noexcept {
    for (int i = 0; i < spins && !holds(); ++i) pause();
}

}  // namespace embrow
