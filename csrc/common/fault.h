// Many threads -> the first bad element: kernels report what they refuse, hubs turn it into one error.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <mutex>
#include <type_traits>
#include <utility>

namespace embrow {

// Keeps the report with the lowest position, so the error is the same for every number of threads as long as each task
// reports its own first fault and no task that starts before `position()` is skipped.
template <class Detail>
class first_fault {
    static_assert(std::is_nothrow_move_assignable_v<Detail>);

  public:
    static constexpr int64_t none = std::numeric_limits<int64_t>::max();

    void report(int64_t position, Detail detail) noexcept {
        const std::scoped_lock lock(mutex_);
        if (position < position_.load(std::memory_order_relaxed)) {
            position_.store(position, std::memory_order_relaxed);
            detail_ = std::move(detail);
        }
    }

    int64_t position() const noexcept { return position_.load(std::memory_order_relaxed); }
    explicit operator bool() const noexcept { return position() != none; }
    const Detail& detail() const noexcept { return detail_; }

  private:
    std::atomic<int64_t> position_{none};
    std::mutex mutex_;
    Detail detail_{};
};

}  // namespace embrow
