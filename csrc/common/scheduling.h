// Where the system runs a thread, and how soon after it is woken. On Linux alone; elsewhere nothing happens.
//
// Threads that wait by spinning, such as OpenMP's after each of its loops, keep cores busy. A thread that is woken
// meanwhile waits for milliseconds, or is put on the core of the very thread it is to help.
#pragma once

#if defined(__linux__)
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#endif

namespace embrow {

// Of threads that want to run, those that ask for short slices of time go first (Linux 6.12 on). A thread of another
// policy than the usual one is left alone.
inline void ask_for_short_slices() noexcept {
#if defined(__linux__)
    // As in sched_setattr(2), which older C libraries do not declare.
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t slice_ns, deadline_ns, period_ns;
    } attributes{};
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0 || attributes.policy != SCHED_OTHER)
        return;
    attributes.slice_ns = 100'000;
    // Should it fail, the thread is only woken later.
    syscall(SYS_sched_setattr, 0, &attributes, 0);
#endif
}

inline int current_core() noexcept {
#if defined(__linux__)
    return sched_getcpu();
#else
    return -1;
#endif
}

// Moves the calling thread to any other core that it may use; it may come back at once. Should somebody else set the
// thread's cores meanwhile, theirs stay.
inline void leave_core([[maybe_unused]] int core) noexcept {
#if defined(__linux__)
    cpu_set_t all;
    if (core < 0 || core >= CPU_SETSIZE || sched_getaffinity(0, sizeof all, &all) != 0) return;
    cpu_set_t others = all;
    CPU_CLR(core, &others);
    if (sched_setaffinity(0, sizeof others, &others) != 0) return;
    cpu_set_t now;
    if (sched_getaffinity(0, sizeof now, &now) == 0 && CPU_EQUAL(&now, &others)) sched_setaffinity(0, sizeof all, &all);
#endif
}

}  // namespace embrow
