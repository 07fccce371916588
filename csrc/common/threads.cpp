#include "common/threads.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace embrow {
namespace {

struct job {
    task_ref body;
    size_t tasks;
    int helpers_wanted;
    std::atomic<size_t> next{0};
    int helpers = 0;  // guarded by the pool's mutex, as is `error`
    std::exception_ptr error;
};

class pool {
  public:
    void run(int threads, job& work, task_ref meanwhile) {
        const bool one_helper = work.helpers_wanted == 1;  // once queued, it is the workers' to change
        {
            std::unique_lock lock(mutex_);
            while (workers_ < threads - 1) {
                std::thread([this] { serve(); }).detach();
                ++workers_;
            }
            queue_.push_back(&work);
        }
        if (one_helper) {
            wake_.notify_one();
        } else {
            wake_.notify_all();
        }
        meanwhile(0);
        drain(work);
        std::unique_lock lock(mutex_);
        queue_.erase(std::remove(queue_.begin(), queue_.end(), &work), queue_.end());
        done_.wait(lock, [&] { return work.helpers == 0; });
    }

  private:
    [[noreturn]] void serve() {
        std::unique_lock lock(mutex_);
        for (;;) {
            wake_.wait(lock, [&] { return !queue_.empty(); });
            job& work = *queue_.front();
            ++work.helpers;
            if (--work.helpers_wanted == 0) queue_.pop_front();
            lock.unlock();
            drain(work);
            lock.lock();
            // `work` may be gone once its owner sees no helpers, which needs the mutex held here.
            if (--work.helpers == 0) done_.notify_all();
        }
    }

    void drain(job& work) {
        for (;;) {
            const size_t task = work.next.fetch_add(1, std::memory_order_relaxed);
            if (task >= work.tasks) return;
            try {
                work.body(task);
            } catch (...) {
                work.next.store(work.tasks, std::memory_order_relaxed);
                const std::scoped_lock lock(mutex_);
                if (!work.error) work.error = std::current_exception();
            }
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::condition_variable done_;
    std::deque<job*> queue_;
    int workers_ = 0;
};

// Never destroyed: workers live until the process ends. A forked child has none of the parent's workers and perhaps a
// mutex locked for ever, so it starts with a new pool.
pool* current = nullptr;

pool& shared_pool() {
    static const bool once = [] {
        current = new pool;
#if defined(__unix__) || defined(__APPLE__)
        pthread_atfork(nullptr, nullptr, [] { current = new pool; });
#endif
        return true;
    }();
    static_cast<void>(once);
    return *current;
}

}  // namespace

void parallel_for(int threads, size_t tasks, task_ref body) {
    parallel_for(threads, tasks, body, [](size_t) {});
}

void parallel_for(int threads, size_t tasks, task_ref body, task_ref meanwhile) {
    threads = static_cast<int>(std::min(static_cast<size_t>(std::max(threads, 1)), tasks));
    if (threads <= 1) {
        meanwhile(0);
        for (size_t task = 0; task < tasks; ++task) body(task);
        return;
    }
    job work{.body = body, .tasks = tasks, .helpers_wanted = threads - 1, .error = nullptr};
    shared_pool().run(threads, work, meanwhile);
    if (work.error) std::rethrow_exception(work.error);
}

}  // namespace embrow
