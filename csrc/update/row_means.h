// Row-wise Adagrad: the update of rows by steps that their gradients' mean squares divide. Included as update_rows.h
// is.
#pragma once

#include <cmath>
#include <cstring>
#include <optional>
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
    constexpr size_t vectors = parts / Lanes::lanes;
    constexpr size_t last_vectors = last_parts / Lanes::lanes;
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
    typename Lanes::wide sums[vectors];
    unrolled<vectors>([&](auto v) { sums[v] = Lanes::all(0); });
    size_t column = 0;
    for (; column + parts <= job.dim; column += parts) {
        typename Lanes::wide of[vectors];
        square.template operator()<Lanes>(column, of);
        unrolled<vectors>([&](auto v) { sums[v] = sums[v] + of[v]; });
    }
    unrolled<parts / last_parts>([&](auto group) {
        if (column + last_parts > job.dim) return;
        typename Lanes::wide of[last_vectors];
        square.template operator()<Lanes>(column, of);
        unrolled<last_vectors>([&](auto v) {
            auto& sum = sums[group * last_vectors + v];
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
    unrolled<vectors / 2>([&](auto v) { sums[v] = sums[v] + sums[v + vectors / 2]; });
    unrolled<vectors / 4>([&](auto v) { sums[v] = sums[v] + sums[v + vectors / 4]; });
    number s[last_parts];
    std::memcpy(s, sums, sizeof s);
    const auto pair = [&](size_t i) { return static_cast<double>(s[i]) + static_cast<double>(s[i + 4]); };
    double total = (pair(0) + pair(2)) + (pair(1) + pair(3));
    for (size_t i = 0; whole + i < job.dim; ++i) total += static_cast<double>(last[i]);
    return total;
}

template <class Lanes>
void update_by_means(const update_job& job, std::span<const row_term> terms, size_t begin, size_t end, bool has_grads,
                     std::byte* sums) noexcept {
    using value = typename Lanes::value;
    if (!has_grads || job.dim == 0) return;
    const auto size_of = [&]<bool plain>(uint32_t id, const auto& gradient) {
        float& sum = *row_of<float>(job.second, id);
        const double squares = sum_squares<Lanes, plain>(job, id, gradient);
        sum += static_cast<float>(squares / static_cast<double>(job.dim));
        return job.numbers.size / (std::sqrt(static_cast<double>(sum)) + job.numbers.eps);
    };
    step_numbers numbers = job.numbers;
    const auto update = [&]<bool plain>(uint32_t id, const auto& gradient, double size) {
        numbers.direct = size;
        update_columns<Lanes, update_rule::sgd, plain>(job, id, gradient, numbers, {}, true);
    };
    // A row of one term is updated while the next one's size is found, a chain of roots and divisions.
    struct sized_row {
        uint32_t id;
        only_gradient<value> gradient;
        double size;
    };
    std::optional<sized_row> last;
    const auto finish = [&] {
        if (last) update.template operator()<true>(last->id, last->gradient, last->size);
        last.reset();
    };
    const bool plain = are_plain(job, true);
    row_walk<Lanes, update_rule::rowwise_adagrad> rows(job, terms, begin, true, sums);
    while (rows.next() < end) {
        const uint32_t id = rows.advance();
        if (plain) {
            rows.with_gradient([&]<class Gradient>(const Gradient& gradient) {
                const double size = size_of.template operator()<true>(id, gradient);
                finish();
                if constexpr (std::is_same_v<Gradient, only_gradient<value>>) {
                    last = {id, gradient, size};
                } else {
                    update.template operator()<true>(id, gradient, size);
                }
            });
        } else {
            const auto gradient = rows.find_gradient();
            update.template operator()<false>(id, gradient, size_of.template operator()<false>(id, gradient));
        }
    }
    finish();
}

}  // namespace
}  // namespace embrow
