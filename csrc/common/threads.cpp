#include "common/threads.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#include "common/scheduling.h"
#include "common/spin.h"
#include "common/spin_guess.h"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace embrow {
namespace {

// Of so many brief jobs without a helper awake, one wakes them. A prime, so that where each step has several such jobs
// all of them have their turn.
constexpr unsigned brief_jobs_a_try = 17;

// Tasks in one stretch, or in as many as threads, each of which takes those of its own one after another, then helps
// with the others'. So neighbours, which mostly write to the same page, are seldom at work at once: both would make
// that page, and one in vain.
class job {
  public:
    job(task_ref body, size_t tasks, int threads, task_order order)
        : helpers_wanted(threads - 1),
          body_(body),
          tasks_(tasks),
          stretches_(order == task_order::ascending ? 1 : static_cast<size_t>(threads)),
          next_(std::make_unique<std::atomic<size_t>[]>(stretches_)) {
        for (size_t i = 0; i < stretches_; ++i) next_[i].store(begin(i), std::memory_order_relaxed);
    }

    int helpers_wanted;           // guarded by the pool's mutex
    std::atomic<int> helpers{0};  // changed under the mutex
    const int owner_core = current_core();

    const void* kind() const noexcept { return body_.kind(); }

    // Runs what throws as a task may.
    void attempt(task_ref body, size_t task) noexcept {
        try {
            body(task);
        } catch (...) {
            stopped_.store(true, std::memory_order_relaxed);
            const std::scoped_lock lock(error_mutex_);
            if (!error_) error_ = std::current_exception();
        }
    }

    // Runs tasks until none is left to begin.
    void drain() {
        const size_t own = begun_.fetch_add(1, std::memory_order_relaxed);
        for (size_t i = 0; i < stretches_; ++i) drain((own + i) % stretches_);
    }

    void rethrow() const {
        if (error_) std::rethrow_exception(error_);
    }

  private:
    size_t begin(size_t stretch) const noexcept {
        return tasks_ / stretches_ * stretch + std::min(stretch, tasks_ % stretches_);
    }

    void drain(size_t stretch) {
        const size_t end = begin(stretch + 1);
        // Reading first: many threads that come late would all write to what is used up.
        while (!stopped_.load(std::memory_order_relaxed) && next_[stretch].load(std::memory_order_relaxed) < end) {
            const size_t task = next_[stretch].fetch_add(1, std::memory_order_relaxed);
            if (task >= end) return;
            attempt(body_, task);
        }
    }

    task_ref body_;
    size_t tasks_;
    size_t stretches_;
    std::unique_ptr<std::atomic<size_t>[]> next_;  // of each stretch
    std::atomic<size_t> begun_{0};                 // threads
    std::atomic<bool> stopped_{false};
    std::mutex error_mutex_;
    std::exception_ptr error_;
};

class pool {
  public:
    bool has_helper_awake() const noexcept { return awake_.load(std::memory_order_relaxed) > 0; }

    // Whether a brief job is to wake helpers, of which none is awake.
    bool tries() noexcept { return brief_jobs_.fetch_add(1, std::memory_order_relaxed) % brief_jobs_a_try == 0; }

    void run(int threads, job& work, task_ref meanwhile) {
        int wanted_asleep;
        {
            const std::scoped_lock lock(mutex_);
            while (workers_ < threads - 1 && start_worker()) ++workers_;
            // Those that spin may be after the jobs that are queued already.
            wanted_asleep = work.helpers_wanted - (queue_.empty() ? spinning_ : 0);
            queue_.push_back(&work);
            posted_.fetch_add(1, std::memory_order_relaxed);
        }
        if (wanted_asleep == 1) {
            wake_.notify_one();
        } else if (wanted_asleep > 1) {
            wake_.notify_all();
        }
        work.attempt(meanwhile, 0);
        work.drain();
        {
            const std::scoped_lock lock(mutex_);
            queue_.erase(std::remove(queue_.begin(), queue_.end(), &work), queue_.end());
        }
        const auto is_done = [&] { return work.helpers.load(std::memory_order_acquire) == 0; };
        spin_until(is_done);
        if (is_done()) return;
        std::unique_lock lock(mutex_);
        done_.wait(lock, is_done);
    }

  private:
    // False where the process may have no more threads, or no more memory for their stacks: those there are do the
    // work.
    bool start_worker() {
        try {
            std::thread([this] { serve(); }).detach();
        } catch (const std::system_error&) {
            return false;
        }
        return true;
    }

    [[noreturn]] void serve() {
        ask_for_short_slices();
        spin_guess guess;
        const void* last_kind = this;  // that of no job yet
        awake_.fetch_add(1, std::memory_order_relaxed);
        std::unique_lock lock(mutex_);
        for (;;) {
            if (queue_.empty()) {
                bool is_worth = guess.is_worth(last_kind);
                if (is_worth) {
                    const unsigned seen = posted_.load(std::memory_order_relaxed);
                    const auto came = [&] { return posted_.load(std::memory_order_relaxed) != seen; };
                    ++spinning_;
                    lock.unlock();
                    spin_until(came);
                    lock.lock();
                    --spinning_;
                    is_worth = guess.tell(last_kind, came());
                }
                if (queue_.empty()) {
                    // One miss is perhaps none: the next brief job wakes helpers.
                    if (is_worth) brief_jobs_.store(0, std::memory_order_relaxed);
                    awake_.fetch_sub(1, std::memory_order_relaxed);
                    wake_.wait(lock, [&] { return !queue_.empty(); });
                    awake_.fetch_add(1, std::memory_order_relaxed);
                }
            }
            job& work = *queue_.front();
            work.helpers.fetch_add(1, std::memory_order_relaxed);
            if (--work.helpers_wanted == 0) queue_.pop_front();
            last_kind = work.kind();
            lock.unlock();
            if (current_core() == work.owner_core) leave_core(work.owner_core);
            work.drain();
            lock.lock();
            // `work` may be gone once its owner sees no helpers.
            if (work.helpers.fetch_sub(1, std::memory_order_release) == 1) done_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::condition_variable done_;
    std::deque<job*> queue_;
    int workers_ = 0;
    int spinning_ = 0;
    std::atomic<int> awake_{0};            // helpers that work or spin
    std::atomic<unsigned> brief_jobs_{0};  // with no helper awake
    std::atomic<unsigned> posted_{0};      // jobs so far: what those that spin watch
};

// Never destroyed: workers live until the process ends. A forked child has none of the parent's workers and perhaps a
// mutex locked for ever, so it starts with a new pool.
pool* current = nullptr;
unsigned forks = 0;

pool& shared_pool() {
    static const bool once = [] {
        current = new pool;
#if defined(__unix__) || defined(__APPLE__)
        pthread_atfork(nullptr, nullptr, [] {
            current = new pool;
            ++forks;
        });
#endif
        return true;
    }();
    static_cast<void>(once);
    return *current;
}

}  // namespace

int most_threads() {
    constexpr int at_least = 64;
    constexpr int a_cpu = 4;
    static const int most = std::max(at_least, a_cpu * static_cast<int>(std::thread::hardware_concurrency()));
    return most;
}

unsigned fork_count() {
    shared_pool();
    return forks;
}

bool has_helper_awake() {
    return shared_pool().has_helper_awake();
}

int threads_for(size_t bytes, int threads) {
    if (threads <= 1 || bytes <= alone_bytes) return 1;
    if (bytes > brief_bytes || shared_pool().has_helper_awake() || shared_pool().tries()) return threads;
    return 1;
}

void parallel_for(int threads, size_t tasks, task_ref body) {
    parallel_for(threads, tasks, body, [](size_t) {});
}

void parallel_for(int threads, size_t tasks, task_ref body, task_ref meanwhile, task_order order) {
    threads = static_cast<int>(std::min(static_cast<size_t>(std::clamp(threads, 1, most_threads())), tasks));
    if (threads <= 1) {
        meanwhile(0);
        for (size_t task = 0; task < tasks; ++task) body(task);
        return;
    }
    job work(body, tasks, threads, order);
    shared_pool().run(threads, work, meanwhile);
    work.rethrow();
}

}  // namespace embrow
