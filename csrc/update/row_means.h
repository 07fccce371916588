// Row-wise Adagrad: the update of rows by steps that their gradients' mean squares divide. Included as update_rows.h
// is.
#pragma once

#include <cmath>
#include <cstring>
#include <span>
#include <type_traits>

#include "update/update_rows.h"

namespace embrow {
namespace {

// The sum of the squares of a row's gradient, the same bits of all variants and devices. Column c adds to part c % 32;
// the second half of the parts is added to the first until eight are left, and those, in double, until one is. The last
// dim % 8 columns are added to that, one after another.
template <class Lanes, bool plain, class Gradient>
double sum_squares(const update_job& job, uint32_t id, const Gradient& gradient) noexcept {
    using value = typename Lanes::value;
    using number = typename sum_of<value>::type;
    using rest = single<value>;
    constexpr size_t parts = 32;
    constexpr size_t last_parts = 8;
    const value* weights = row_of<value>(job.table, id);
    const auto square = [&]<class Of, size_t count>(size_t column, typename Of::wide(&of)[count]) {
        gradient.template load<Of>(column, of);
        unrolled<count>([&](auto v) {
            if (!plain && job.numbers.decay != 0) {
                of[v] = of[v] + Of::all(job.numbers.decay) * Of::load(weights + column + v * Of::lanes);
            }
            of[v] = of[v] * of[v];
        });
    };
    constexpr size_t vectors = parts / Lanes::lanes;
    typename Lanes::wide by_part[vectors];
    unrolled<vectors>([&](auto v) { by_part[v] = Lanes::all(0); });
    size_t column = 0;
    for (; column + parts <= job.dim; column += parts) {
        typename Lanes::wide of[vectors];
        square.template operator()<Lanes>(column, of);
        unrolled<vectors>([&](auto v) { by_part[v] = by_part[v] + of[v]; });
    }
    using few = typename Lanes::at_most_eight;
    constexpr size_t group = last_parts / few::lanes;
    typename few::wide sums[parts / few::lanes];
    static_assert(sizeof sums == sizeof by_part);
    std::memcpy(sums, by_part, sizeof sums);
    unrolled<parts / last_parts>([&](auto g) {
        if (column + last_parts > job.dim) return;
        typename few::wide of[group];
        square.template operator()<few>(column, of);
        unrolled<group>([&](auto v) {
            auto& sum = sums[g * group + v];
            sum = sum + of[v];
        });
        column += last_parts;
    });
    const size_t whole = column;
    number last[last_parts];
    for (; column < job.dim; ++column) {
        number of[1];
        square.template operator()<rest>(column, of);
        last[column - whole] = of[0];
    }
    unrolled<2 * group>([&](auto v) { sums[v] = sums[v] + sums[v + 2 * group]; });
    unrolled<group>([&](auto v) { sums[v] = sums[v] + sums[v + group]; });
    number s[last_parts];
    std::memcpy(s, sums, sizeof s);
    const auto pair = [&](size_t i) { return static_cast<double>(s[i]) + static_cast<double>(s[i + 4]); };
    double total = (pair(0) + pair(2)) + (pair(1) + pair(3));
    for (size_t i = 0; whole + i < job.dim; ++i) total += static_cast<double>(last[i]);
    return total;
}

// So many rows' steps are found side by side, for each is a chain of a root and two divisions.
constexpr size_t rows_at_once = 8;

// Adds the mean squares of rows' gradients to their state. `numbers`: the sums of squares, then the sizes of the steps.
void find_sizes(const update_job& job, size_t count, const uint32_t* ids, double* numbers) noexcept {
    float sums[rows_at_once];
    for (size_t i = 0; i < count; ++i) numbers[i] /= static_cast<double>(job.dim);
    for (size_t i = 0; i < count; ++i) {
        float& sum = *row_of<float>(job.second, ids[i]);
        sum += static_cast<float>(numbers[i]);
        sums[i] = sum;
    }
    for (size_t i = 0; i < count; ++i) {
        numbers[i] = job.numbers.size / (std::sqrt(static_cast<double>(sums[i])) + job.numbers.eps);
    }
}

template <class Lanes>
void update_by_means(const update_job& job, std::span<const row_term> terms, size_t begin, size_t end, bool has_grads,
                     std::byte* sums) noexcept {
    using value = typename Lanes::value;
    constexpr auto rule = update_rule::rowwise_adagrad;
    if (!has_grads || job.dim == 0) return;
    row_walk<Lanes, rule> rows(job, terms, begin, true, sums);
    step_numbers step = job.numbers;
    const auto update = [&]<bool plain>(uint32_t id, const auto& gradient, double size) {
        step.direct = size;
        update_columns<Lanes, update_rule::sgd, plain, rule>(job, id, gradient, step, {}, true, rows.asked());
    };
    const auto update_now = [&]<bool plain>(uint32_t id, const auto& gradient) {
        double number = sum_squares<Lanes, plain>(job, id, gradient);
        find_sizes(job, 1, &id, &number);
        update.template operator()<plain>(id, gradient, number);
    };
    // Rows of one term and plain steps, if they are so narrow that requests for the next eight do not queue.
    constexpr size_t most_waiting_bytes = 448;
    const bool may_wait = job.dim * sizeof(value) <= most_waiting_bytes;
    size_t waiting = 0;
    uint32_t ids[rows_at_once] = {};
    only_gradient<value> gradients[rows_at_once];
    double numbers[rows_at_once];
    const auto update_waiting = [&] {
        find_sizes(job, waiting, ids, numbers);
        for (size_t i = 0; i < waiting; ++i) update.template operator()<true>(ids[i], gradients[i], numbers[i]);
        waiting = 0;
    };
    const bool plain = are_plain(job, true);
    while (rows.next() < end) {
        const uint32_t id = rows.advance();
        if (!plain) {
            update_now.template operator()<false>(id, rows.find_gradient());
            continue;
        }
        rows.with_gradient([&]<class Gradient>(const Gradient& gradient) {
            if constexpr (std::is_same_v<Gradient, only_gradient<value>>) {
                if (may_wait) {
                    ids[waiting] = id;
                    gradients[waiting] = gradient;
                    numbers[waiting] = sum_squares<Lanes, true>(job, id, gradient);
                    if (++waiting == rows_at_once) update_waiting();
                    return;
                }
            }
            update_now.template operator()<true>(id, gradient);
        });
    }
    update_waiting();
}

}  // namespace
}  // namespace embrow
