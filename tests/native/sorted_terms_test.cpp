// Terms come in the order that comparisons give them, however many threads share the sort; what is not wanted is left
// out, and the first id outside the table is told.
#include "common/sorted_terms.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "check.h"

namespace embrow::testing {
namespace {

constexpr int thread_counts[] = {1, 2, 3, 16};

template <class Id>
id_list list_of(const std::vector<Id>& ids) {
    return {ids.data(), ids.size(), sizeof(Id) == 8};
}

template <class Id>
std::vector<Id> random_ids(size_t count, int64_t rows, std::mt19937_64& random) {
    std::vector<Id> ids(count);
    // Half of them few rows, as words are.
    for (Id& id : ids) {
        const auto limit = static_cast<uint64_t>(random() % 2 == 0 ? rows : std::min<int64_t>(rows, 5));
        id = static_cast<Id>(random() % limit);
    }
    return ids;
}

template <class Id>
void test_orders(const cases& all, size_t count, int64_t rows, std::mt19937_64& random) {
    const std::vector<Id> ids = random_ids<Id>(count, rows, random);
    // All, half of the rows, next to none and none.
    const auto is_wanted = [&](int which, int64_t id) {
        return which == 0 || (which == 1 && id % 2 == 0) || (which == 2 && id == rows / 2);
    };
    for (int which = 0; which < 4; ++which) {
        std::vector<row_term> expected;
        for (size_t i = 0; i < count; ++i) {
            if (is_wanted(which, ids[i])) expected.push_back(make_term(ids[i], i));
        }
        std::sort(expected.begin(), expected.end());
        for (const int threads : thread_counts) {
            const sorted_terms found(list_of(ids), rows, threads, [&](int64_t id) { return is_wanted(which, id); });
            all.check(!found.bad() && std::ranges::equal(found.terms(), expected),
                      std::to_string(count) + " ids of " + std::to_string(rows) + " rows, " + std::to_string(threads) +
                          " threads, choice " + std::to_string(which));
        }
    }
}

void test_faults(const cases& all, std::mt19937_64& random) {
    constexpr size_t count = 20'000;
    constexpr int64_t rows = 3000;
    for (const int64_t value : {int64_t{-1}, rows, INT64_MIN, INT64_MAX}) {
        for (const size_t first : {size_t{0}, size_t{6666}, size_t{9999}, size_t{10'000}, count - 1}) {
            std::vector<int64_t> ids = random_ids<int64_t>(count, rows, random);
            for (size_t i = first; i < count; i += 1 + random() % 5000) ids[i] = value;
            for (const int threads : thread_counts) {
                const sorted_terms found(list_of(ids), rows, threads, [](int64_t) { return true; });
                all.check(
                    found.terms().empty() && found.bad() && found.bad()->position == first &&
                        found.bad()->value == value,
                    "the first bad id, at " + std::to_string(first) + ", " + std::to_string(threads) + " threads");
            }
        }
    }
}

int run() {
    cases all;
    std::mt19937_64 random(20240229);
    for (const size_t count : {0, 1, 255, 256, 257, 8191, 8192, 8193, 20'000}) {
        all.begin(std::to_string(count) + " ids");
        for (const int64_t rows : {int64_t{1}, int64_t{2}, int64_t{2048}, int64_t{2049}, int64_t{5'000'000}}) {
            test_orders<int32_t>(all, count, rows, random);
            test_orders<int64_t>(all, count, rows, random);
        }
        test_orders<int64_t>(all, count, max_term_rows, random);
    }
    all.begin("ids outside the table");
    test_faults(all, random);
    return all.finish();
}

}  // namespace
}  // namespace embrow::testing

int main() {
    return embrow::testing::run();
}
