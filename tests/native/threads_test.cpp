// Kernels that share a table, the pool and its forks, from many threads at once: what the thread sanitizer is to watch.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <functional>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include "check.h"
#include "common/checksum.h"
#include "common/spin_guess.h"
#include "common/threads.h"
#include "encode/encode.h"
#include "vocab/count.h"

namespace embrow::testing {
namespace {

constexpr int callers = 4;
constexpr int threads = 3;
constexpr size_t row_count = 3000;
constexpr int seconds_for_a_child = 60;
#if defined(__SANITIZE_THREAD__)
constexpr int child_threads = 1;  // the sanitizer knows no threads begun in the child of a process with threads
#else
constexpr int child_threads = threads;
#endif

// Rows of tokens "w0" to "w999", each row its own run of them, and now and then one that no key can hold inline.
std::vector<std::string> make_texts() {
    std::vector<std::string> texts(row_count);
    for (size_t row = 0; row < row_count; ++row) {
        std::string& text = texts[row];
        for (size_t i = 0; i < 40 + row % 20; ++i)
            text.append("w").append(std::to_string((row * 7 + i * i) % 1000)) += ' ';
        if (row % 10 == 0) text.append("\u3000a_token_of_many_bytes_").append(std::to_string(row % 30));
    }
    return texts;
}

struct fixture {
    std::vector<std::string> texts = make_texts();
    text_rows rows;
    vocab_table table;
    encode_options options;
    std::vector<int64_t> expected;  // ids of all rows, one after another
    std::vector<int64_t> offsets;
    std::vector<int64_t> expected_padded;
    static constexpr size_t width = 16;

    fixture() : table(vocab_table::build({}, hash_seed{})) {
        for (const std::string& text : texts)
            rows.rows.emplace_back(text.data(), text.size(), encoding::unchecked_utf8);
        table = counted(1).table({}, counted(1).ranked(2, true), true);
        options.unk_id = 0;
        expected = encoded(1, &offsets);
        expected_padded = padded(1);
    }

    token_counts counted(int with_threads) const {
        token_counts counts(hash_seed{{1, 2}});
        row_fault fault;
        count_tokens(counts, rows, {}, with_threads, fault);
        if (fault) throw std::runtime_error("a fault in text that has none");
        return counts;
    }

    std::vector<int64_t> encoded(int with_threads, std::vector<int64_t>* row_offsets = nullptr) const {
        row_fault fault;
        const id_pieces pieces = encode_ragged(table, rows, options, with_threads, fault, [](size_t) {});
        std::vector<int64_t> ids(pieces.size());
        std::vector<int64_t> found_offsets(rows.size() + 1);
        join_pieces(pieces, ids.data(), found_offsets.data(), with_threads, [](size_t) {});
        if (row_offsets) *row_offsets = found_offsets;
        return ids;
    }

    std::vector<int64_t> padded(int with_threads) const {
        encode_options kept = options;
        kept.max_length = width;
        std::vector<int64_t> out(row_count * width);
        std::vector<int64_t> lengths(row_count);
        row_fault fault;
        encode_padded(table, rows, kept, pad_layout<int64_t>{width, -1, true}, out.data(), lengths.data(), with_threads,
                      fault, [](size_t) {});
        return out;
    }

    bool encodes_right(int with_threads) const {
        return encoded(with_threads) == expected && padded(with_threads) == expected_padded;
    }
};

// Runs body(caller) on all callers at once; whether each returned true.
bool all_callers(const std::function<bool(int)>& body) {
    std::atomic<int> right{0};
    std::vector<std::thread> running;
    for (int caller = 0; caller < callers; ++caller) {
        running.emplace_back([&, caller] { right += body(caller) ? 1 : 0; });
    }
    for (std::thread& thread : running) thread.join();
    return right == callers;
}

// Forks; whether body() was true in the child, which is killed if it takes too long.
bool in_child(const std::function<bool()>& body) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(seconds_for_a_child);
        _exit(body() ? 0 : 1);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void test_tasks(cases& all) {
    all.begin("every task runs once, for callers at once");
    all.check(all_callers([](int) {
                  for (size_t tasks = 0; tasks < 100; ++tasks) {
                      for (const int of_them : {1, 2, 3, 8}) {
                          std::vector<int> ran(tasks);
                          parallel_for(of_them, tasks, [&](size_t task) { ++ran[task]; });
                          if (!std::ranges::all_of(ran, [](int times) { return times == 1; })) return false;
                      }
                  }
                  return true;
              }),
              "a task was left out or ran twice");

    all.begin("threads beyond what is sensible");
    for (const int beyond : {1'000'000, INT_MAX}) {
        constexpr size_t tasks = 100'000;
        std::atomic<size_t> ran{0};
        std::mutex mutex;
        std::set<std::thread::id> ran_by;
        parallel_for(beyond, tasks, [&](size_t) {
            ++ran;
            const std::scoped_lock lock(mutex);
            ran_by.insert(std::this_thread::get_id());
        });
        all.check(ran == tasks, "a task was left out or ran twice");
        all.check(ran_by.size() <= static_cast<size_t>(most_threads()), "more threads than are to be started");
    }

    all.begin("tasks that run tasks");
    all.check(all_callers([](int) {
                  std::atomic<size_t> ran{0};
                  parallel_for(threads, 20, [&](size_t) { parallel_for(threads, 20, [&](size_t) { ++ran; }); });
                  return ran == 400;
              }),
              "a task was left out");

    all.begin("tasks in ascending order");
    std::atomic<size_t> begun{0};
    std::atomic<size_t> first_two{0};
    parallel_for(
        2, 100,
        [&](size_t task) {
            const size_t before = begun.fetch_add(1);
            if (before < 2) first_two += task;
            while (before == 0 && begun < 2) std::this_thread::yield();
        },
        [](size_t) {}, task_order::ascending);
    all.check(first_two == 1, "two threads do not begin with the first two tasks");

    all.begin("tasks wait for what is made meanwhile");
    for (const bool fails : {false, true}) {
        all.check(all_callers([&](int) {
                      constexpr size_t tasks = 300;
                      const size_t made = fails ? 100 : tasks;
                      rows_progress progress;
                      std::vector<int> rows(tasks);
                      std::atomic<size_t> right{0};
                      const auto make = [&](size_t) {
                          for (size_t row = 0; row < made; ++row) {
                              rows[row] = 1;
                              progress.reach(row + 1);
                              if (row % 50 == 49) progress.wake();
                          }
                          if (fails) progress.fail();
                      };
                      const auto use = [&](size_t task) {
                          if (progress.wait_for(task + 1)) {
                              right += rows[task] == 1;
                          } else {
                              right += fails;
                          }
                      };
                      parallel_for(threads, tasks, use, make, task_order::ascending);
                      return right == tasks;
                  }),
                  fails ? "a task used what is not there" : "a task saw less than was made");
    }

    all.begin("the first exception reaches its caller, and the pool goes on");
    all.check(all_callers([](int caller) {
                  for (int round = 0; round < 200; ++round) {
                      const std::string thrown = std::to_string(caller * 1000 + round);
                      const bool meanwhile = round % 2 == 1;
                      const auto fail = [&](bool here) {
                          if (here) throw std::runtime_error(thrown);
                      };
                      try {
                          parallel_for(
                              round % 4 < 2 ? threads : 1, 50, [&](size_t task) { fail(!meanwhile && task % 7 == 3); },
                              [&](size_t) { fail(meanwhile); });
                          return false;
                      } catch (const std::runtime_error& error) {
                          if (error.what() != thrown) return false;
                      }
                  }
                  return true;
              }),
              "an exception was lost or went astray");
}

void test_kernels(cases& all, const fixture& made) {
    all.begin("callers encode with one table");
    all.check(all_callers([&](int) { return made.encodes_right(threads) && made.encodes_right(threads); }),
              "ids differ");

    all.begin("callers encode rows that are still being read");
    all.check(all_callers([&](int) {
                  text_rows read = made.rows;
                  std::fill(read.rows.begin(), read.rows.end(), text_row("not read yet", 12, encoding::utf8));
                  rows_progress progress;
                  read.progress = &progress;
                  progress.expected_bytes = 300;
                  const auto reading = [&](size_t) {
                      for (size_t row = 0; row < read.rows.size(); ++row) {
                          read.rows[row] = made.rows.rows[row];
                          progress.reach(row + 1);
                      }
                      progress.wake();
                  };
                  row_fault fault;
                  const id_pieces pieces = encode_ragged(made.table, read, made.options, threads, fault, reading);
                  std::vector<int64_t> ids(pieces.size());
                  std::vector<int64_t> offsets(read.size() + 1);
                  join_pieces(pieces, ids.data(), offsets.data(), threads, [](size_t) {});
                  return ids == made.expected && offsets == made.offsets;
              }),
              "ids differ");

    all.begin("callers count");
    const token_counts expected = made.counted(1);
    all.check(all_callers([&](int) {
                  const token_counts counts = made.counted(threads);
                  bool same = counts.tokens().size() == expected.tokens().size();
                  for (size_t i = 0; same && i < counts.tokens().size(); ++i) {
                      same = counts.tokens().token(i) == expected.tokens().token(i) &&
                             counts.count(i) == expected.count(i);
                  }
                  return same;
              }),
              "counts differ");

    all.begin("callers pad");
    all.check(all_callers([&](int) {
                  std::vector<int64_t> out(row_count * fixture::width);
                  pad_rows(made.expected.data(), made.offsets.data(), row_count,
                           pad_layout<int64_t>{fixture::width, -1, true}, fixture::width, false, out.data(), threads);
                  return out == made.expected_padded;
              }),
              "rectangles differ");

    all.begin("the first fault is the same for any number of threads");
    all.check(all_callers([&](int caller) {
                  text_rows damaged = made.rows;
                  for (size_t row = 500; row < row_count; row += 100)
                      damaged.rows[row] = {"ok \xff", 4, encoding::unchecked_utf8};
                  row_fault fault;
                  encode_ragged(made.table, damaged, made.options, 1 + caller, fault, [](size_t) {});
                  return fault.position() == 500 && fault.detail().at == 3;
              }),
              "another row is named");

    all.begin("checksums");
    const std::string bytes(3 << 20, 'x');
    const uint64_t sum = checksum(bytes.data(), bytes.size(), 1);
    all.check(all_callers([&](int) { return checksum(bytes.data(), bytes.size(), threads) == sum; }), "sums differ");
}

void test_forks(cases& all, const fixture& made) {
    all.begin("a forked child encodes");
    all.check(in_child([&] { return made.encodes_right(child_threads); }), "the child");
    all.check(made.encodes_right(threads), "the parent afterwards");

    all.begin("a child's child encodes");
    all.check(in_child([&] {
                  return made.encodes_right(child_threads) &&
                         in_child([&] { return made.encodes_right(child_threads); });
              }),
              "the child's child");

    all.begin("a child forked while others are at work encodes");
    std::atomic<bool> stop{false};
    std::atomic<size_t> ran{0};
    std::thread busy([&] {
        while (!stop) parallel_for(threads, 100, [&](size_t) { ++ran; });
    });
    while (ran == 0) std::this_thread::yield();
    const bool right = in_child([&] { return made.encodes_right(child_threads); });
    stop = true;
    busy.join();
    all.check(right, "the child");
}

// To be called while no helper is awake.
void test_threads_for(cases& all) {
    constexpr size_t least = 1;
    constexpr size_t brief = brief_bytes;
    constexpr size_t long_enough = brief + 1;

    all.begin("a brief job is its caller's while helpers sleep");
    all.check(!has_helper_awake(), "a helper is awake that was never needed");
    int tries = 0;
    for (int i = 0; i < 64; ++i) tries += threads_for(brief, threads) == threads;
    all.check(tries == 4, "it is tried seldom");
    all.check(threads_for(brief, 1) == 1 && threads_for(0, threads) == 1 && threads_for(least, threads) == 1,
              "nothing to share");
    all.check(threads_for(long_enough, threads) == threads, "a long job is shared");

    all.begin("a brief job is shared with a helper that is awake");
    std::atomic<int> begun{0};
    std::atomic<int> checked{0};
    std::atomic<int> right{0};
    parallel_for(2, 2, [&](size_t) {
        ++begun;
        while (begun < 2) std::this_thread::yield();
        bool shares = has_helper_awake();
        for (int i = 0; i < 64; ++i) shares &= threads_for(brief, threads) == threads;
        right += shares && threads_for(least, threads) == 1;
        // The helper's task may not end before its caller has checked: it would fall asleep meanwhile.
        ++checked;
        while (checked < 2) std::this_thread::yield();
    });
    all.check(right == 2, "it is not");

    all.begin("a helper that has waited in vain once is woken for the next brief job");
    while (has_helper_awake()) std::this_thread::yield();
    all.check(threads_for(brief, threads) == threads, "it is not");
    all.check(threads_for(brief, threads) == 1, "so is it for the one after");
}

void test_spin_guess(cases& all) {
    spin_guess guess;
    const int kinds[2] = {};
    const auto job = [&](int kind, bool comes) {
        const bool spins = guess.is_worth(&kinds[kind]);
        if (spins) guess.tell(&kinds[kind], comes);
        return spins;
    };

    all.begin("helpers spin where the next job comes soon");
    bool always = true;
    for (int i = 0; i < 100; ++i) always &= job(0, i % 2 == 0);
    all.check(always, "one miss is none");
    all.check(job(1, false) && job(1, false), "two are needed");
    int tries = 0;
    for (unsigned i = 0; i < 10 * spin_guess::jobs_a_try; ++i) tries += job(1, false);
    all.check(tries == 10, "then it is tried seldom");
    all.check(job(0, true), "another kind is not concerned");
    while (!job(1, true)) continue;
    all.check(job(1, true), "one hit is enough");
    all.check(guess.tell(&kinds[1], true) && guess.tell(&kinds[1], false) && !guess.tell(&kinds[1], false) &&
                  guess.tell(&kinds[1], true),
              "what it returns is not what is thought");

    all.begin("there may be more kinds of jobs than are told apart");
    const char many[200] = {};
    for (const char& kind : many) {
        if (guess.is_worth(&kind)) guess.tell(&kind, false);
    }
    all.check(job(0, true), "the first are");
}

int run() {
    cases all;
    test_threads_for(all);
    test_spin_guess(all);
    test_tasks(all);
    const fixture made;
    test_kernels(all, made);
    test_forks(all, made);
    return all.finish();
}

}  // namespace
}  // namespace embrow::testing

int main() {
    return embrow::testing::run();
}
