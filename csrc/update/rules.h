// numbers of a step, one set of lanes of a row -> the same lanes after it: the arithmetic of each update_rule, and the
// replay of the steps that a row missed.
//
// Included as update_rows.h is.
#pragma once

#include <cmath>
#include <cstddef>

#include "update/update.h"

namespace embrow {
namespace {

// The elements of one row that stand in one set of lanes.
template <class Lanes>
struct row_lanes {
    typename Lanes::wide p;
    typename Lanes::wide first;
    typename Lanes::wide second;
    typename Lanes::wide greatest;
};

constexpr bool has_first(update_rule rule) noexcept {
    return rule == update_rule::momentum || rule == update_rule::adam || rule == update_rule::amsgrad;
}
constexpr bool has_second(update_rule rule) noexcept {
    return rule == update_rule::adagrad || rule == update_rule::adam || rule == update_rule::amsgrad;
}

// The numbers of a step in every lane; made once, for what stores to rows might be anywhere.
template <class Lanes>
struct lane_numbers {
    using wide = typename Lanes::wide;
    wide size, direct, eps, beta1, rest1, beta2, rest2, gain, decay, shrink;
    bool decays, shrinks;

    explicit lane_numbers(const step_numbers& of) noexcept
        : size(Lanes::all(of.size)),
          direct(Lanes::all(of.direct)),
          eps(Lanes::all(of.eps)),
          beta1(Lanes::all(of.beta1)),
          rest1(Lanes::all(1 - of.beta1)),
          beta2(Lanes::all(of.beta2)),
          rest2(Lanes::all(1 - of.beta2)),
          gain(Lanes::all(of.gain)),
          decay(Lanes::all(of.decay)),
          shrink(Lanes::all(of.shrink)),
          decays(of.decay != 0),
          shrinks(of.shrink != 1) {}
};

template <class Lanes, update_rule rule>
[[gnu::always_inline]] inline void take_step(row_lanes<Lanes>& row, typename Lanes::wide g,
                                             const lane_numbers<Lanes>& numbers) noexcept {
    if (numbers.decays) g = g + numbers.decay * row.p;
    if (numbers.shrinks) row.p = row.p * numbers.shrink;
    if constexpr (rule == update_rule::sgd) {
        row.p = row.p - numbers.direct * g;
    } else if constexpr (rule == update_rule::momentum) {
        row.first = numbers.beta1 * row.first + numbers.gain * g;
        row.p = row.p - (numbers.size * row.first + numbers.direct * g);
    } else if constexpr (rule == update_rule::adagrad) {
        row.second = row.second + g * g;
        row.p = row.p - numbers.size * (g / (Lanes::root(row.second) + numbers.eps));
    } else {
        row.first = row.first + numbers.rest1 * (g - row.first);
        row.second = numbers.beta2 * row.second + numbers.rest2 * (g * g);
        auto below = row.second;
        if constexpr (rule == update_rule::amsgrad) {
            // A NaN must stay, as in torch.maximum.
            row.greatest = row.greatest > row.second ? row.greatest : row.second;
            below = row.greatest;
        }
        row.p = row.p - numbers.size * (row.first / (Lanes::root(below) + numbers.eps));
    }
}

// The movement of each element per unit of `first`, summed term by term.
template <class Lanes>
typename Lanes::wide sum_terms(const update_clock& clock, const missed_steps& missed,
                               typename Lanes::wide root) noexcept {
    constexpr double negligible = 1e-10;
    auto total = Lanes::all(0);
    double factor = 1;
    double inverse_root = 1;
    for (size_t s = missed.first + 1; s <= missed.last && factor > negligible; ++s) {
        const step_numbers& numbers = clock[s].numbers;
        const double q = clock.keeps_greatest() ? 1 : 1 / std::sqrt(numbers.beta2);
        factor *= numbers.beta1 * q / numbers.shrink;
        inverse_root *= q;
        total = total + Lanes::all(numbers.size * factor) / (root + Lanes::all(numbers.eps * inverse_root));
    }
    return total;
}

template <class Lanes, update_rule rule>
void catch_up(row_lanes<Lanes>& row, const update_clock& clock, const missed_steps& missed) noexcept {
    if (missed.stepwise) {
        for (size_t s = missed.first + 1; s <= missed.last; ++s) {
            take_step<Lanes, rule>(row, Lanes::all(0), lane_numbers<Lanes>(clock[s].numbers));
        }
        return;
    }
    if constexpr (rule == update_rule::momentum) {
        row.p = row.p - row.first * Lanes::all(missed.weight);
    } else if constexpr (rule == update_rule::adam || rule == update_rule::amsgrad) {
        const auto root = Lanes::root(rule == update_rule::adam ? row.second : row.greatest);
        const auto near_zero = (root < Lanes::all(missed.least_root)) & (row.first != Lanes::all(0));
        auto per_unit = Lanes::all(missed.weight) / (root + Lanes::all(missed.eps));
        if (Lanes::any(near_zero)) per_unit = near_zero ? sum_terms<Lanes>(clock, missed, root) : per_unit;
        row.p = row.p - row.first * per_unit;
    }
    if (missed.shrink != 1) row.p = row.p * Lanes::all(missed.shrink);
    if constexpr (has_first(rule)) row.first = row.first * Lanes::all(missed.first_decay);
    if constexpr (rule == update_rule::adam || rule == update_rule::amsgrad) {
        row.second = row.second * Lanes::all(missed.second_decay);
    }
}

}  // namespace
}  // namespace embrow
