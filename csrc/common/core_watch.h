// Whether threads that are not ours keep the cores of this process busy.
//
// OpenMP's spin for milliseconds after each of their loops, and so after most of PyTorch's operators. A helper that is
// woken meanwhile takes the core of one of them, and the operator that comes next waits until that has it again: with
// helpers a brief job costs the program more than without.
#pragma once

#include <atomic>
#include <cstdint>

namespace embrow {

class core_watch {
  public:
    // Several ticks of the system's clock, at which it counts what running threads have used.
    static constexpr int64_t window_ns = 16'000'000;

    // To be called by a thread at work. Looks once a window, when used() is to tell the time that threads of the
    // process have used its cores so far, all but those which may be taken from their work.
    template <class Used>
    bool are_busy(int64_t now_ns, unsigned cores, const Used& used) noexcept {
        int64_t before = looked_.load(std::memory_order_relaxed);
        if (now_ns - before >= window_ns && looked_.compare_exchange_strong(before, now_ns)) {
            const int64_t total = used();
            const auto spent = static_cast<double>(total - used_.exchange(total));
            busy_ = before != 0 && spent > (cores - 0.5) * static_cast<double>(now_ns - before);
        }
        return were_busy();
    }

    bool were_busy() const noexcept { return busy_.load(std::memory_order_relaxed); }

  private:
    std::atomic<int64_t> looked_{0};
    std::atomic<int64_t> used_{0};
    std::atomic<bool> busy_{false};
};

}  // namespace embrow
