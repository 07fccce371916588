// tasks -> threads: a small pool, made on first use and made again in a forked child.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace embrow {

// A borrowed callable, void(size_t task). What it refers to must outlive the call it is passed to.
class task_ref {
  public:
    template <class F, class = std::enable_if_t<!std::is_same_v<std::remove_cvref_t<F>, task_ref>>>
    task_ref(F&& body)  // NOLINT(bugprone-forwarding-reference-overload): implicit on purpose, self excluded above
        : object_(const_cast<void*>(static_cast<const void*>(std::addressof(body)))),
          call_([](void* object, size_t task) { (*static_cast<std::remove_reference_t<F>*>(object))(task); }) {}

    void operator()(size_t task) const { call_(object_, task); }

    // The same for callables of one type.
    const void* kind() const noexcept { return reinterpret_cast<const void*>(call_); }

  private:
    void* object_;
    void (*call_)(void*, size_t);
};

// What every number of threads is bounded by: several to a CPU, beyond which nothing is done sooner, and those that
// were started stay.
int most_threads();

// Runs body(0) ... body(tasks - 1), each once, in any order, on at most `threads` threads of which the caller is one
// (on fewer where that is beyond most_threads(), or the system grants no more); returns when all are done. Each thread
// takes neighbours one after another, since two threads that begin one page of fresh memory would both make it. The
// first exception that a body throws is rethrown here, after which no new task starts. May be called from many threads
// at once. The caller must not hold the GIL if a body may wait for it.
void parallel_for(int threads, size_t tasks, task_ref body);

// How many forks lie between this process and the one that first asked, or first shared work.
unsigned fork_count();

// Whether a helper works or spins, and so is soon at hand.
bool has_helper_awake();

// Up to so many bytes of rows one thread is done as soon as two that share them.
inline constexpr size_t alone_bytes = 512 << 10;

// Up to so many it is done as soon as two of which one has to wake.
inline constexpr size_t brief_bytes = 1 << 20;

// How many of `threads` are to share a job that passes over rows of so many bytes. Helpers sleep where other jobs, such
// as those of PyTorch's own threads, keep their cores, and to wake one costs its caller several microseconds: a brief
// job is done sooner alone. Now and then one wakes them none the less, and they go on spinning if more soon follow.
int threads_for(size_t bytes, int threads);

enum class task_order : uint8_t { by_stretches, ascending };

// The same, but the caller calls meanwhile(0) before it takes tasks, when others may have begun. What it throws is
// treated as what a body throws. In ascending order each thread takes the next task of all, as is best where tasks wait
// for what `meanwhile` makes.
void parallel_for(int threads, size_t tasks, task_ref body, task_ref meanwhile,
                  task_order order = task_order::by_stretches);

// How many tasks of `grain` units make up `units`, the last of which may have fewer; 0 for none.
constexpr size_t task_count(size_t units, size_t grain) {
    return (units + grain - 1) / grain;
}

}  // namespace embrow
