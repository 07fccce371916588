// numbers of a step, one set of lanes of a row -> the same lanes after it: the arithmetic of each update_rule, and the
// replay of the steps that a row missed.
//
// Included as update_rows.h is.
#pragma once

#include <cmath>
#include <cstddef>

#include "common/device.h"
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

template <update_rule rule>
constexpr bool has_first = rule == update_rule::momentum || rule == update_rule::adam || rule == update_rule::amsgrad;
template <update_rule rule>
constexpr bool has_second = rule == update_rule::adagrad || rule == update_rule::adam || rule == update_rule::amsgrad;

// The numbers of a step in every lane; made once, for what stores to rows might be anywhere.
template <class Lanes>
struct lane_numbers {
    using wide = typename Lanes::wide;
    wide size, direct, eps, beta1, rest1, beta2, rest2, gain, decay, shrink;
    bool decays, shrinks;

    EMBROW_DEVICE explicit lane_numbers(const step_numbers& of) noexcept
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

// The same for what a row missed.
template <class Lanes>
struct lane_missed {
    using wide = typename Lanes::wide;
    size_t steps;
    wide weight, eps, least_root, shrink, first_decay, second_decay;

    lane_missed() = default;
    EMBROW_DEVICE explicit lane_missed(const missed_steps& of) noexcept
        : steps(of.steps),
          weight(Lanes::all(of.weight)),
          eps(Lanes::all(of.eps)),
          least_root(Lanes::all(of.least_root)),
          shrink(Lanes::all(of.shrink)),
          first_decay(Lanes::all(of.first_decay)),
          second_decay(Lanes::all(of.second_decay)) {}

    EMBROW_DEVICE explicit operator bool() const noexcept { return steps > 0; }
};

template <class Lanes, update_rule rule>
EMBROW_DEVICE [[gnu::always_inline]] inline void take_step(row_lanes<Lanes>& row, typename Lanes::wide g,
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
template <class Lanes, size_t vectors>
EMBROW_DEVICE void sum_terms(const clock_view& clock, const lane_missed<Lanes>& missed,
                             const typename Lanes::wide (&roots)[vectors],
                             typename Lanes::wide (&totals)[vectors]) noexcept {
    constexpr double negligible = 1e-10;
    for (auto& total : totals) total = Lanes::all(0);
    double factor = 1;
    double inverse_root = 1;
    for (size_t s = clock.last - missed.steps + 1; s <= clock.last && factor > negligible; ++s) {
        const step_numbers& numbers = clock.steps[s].numbers;
        const double q = clock.keeps_greatest ? 1 : 1 / std::sqrt(numbers.beta2);
        factor *= numbers.beta1 * q / numbers.shrink;
        inverse_root *= q;
        const auto weight = Lanes::all(numbers.size * factor);
        const auto eps = Lanes::all(numbers.eps * inverse_root);
        for (size_t v = 0; v < vectors; ++v) totals[v] = totals[v] + weight / (roots[v] + eps);
    }
}

template <class Lanes, update_rule rule, size_t vectors>
EMBROW_DEVICE void catch_up(row_lanes<Lanes> (&rows)[vectors], const clock_view& clock,
                            const lane_missed<Lanes>& missed) noexcept {
    using wide = typename Lanes::wide;
    if (clock.stepwise) {
        for (size_t s = clock.last - missed.steps + 1; s <= clock.last; ++s) {
            const lane_numbers<Lanes> numbers(clock.steps[s].numbers);
            for (auto& row : rows) take_step<Lanes, rule>(row, Lanes::all(0), numbers);
        }
        return;
    }
    if constexpr (rule == update_rule::momentum) {
        for (auto& row : rows) row.p = row.p - row.first * missed.weight;
    } else if constexpr (rule == update_rule::adam || rule == update_rule::amsgrad) {
        wide roots[vectors];
        wide per_unit[vectors];
        bool any_near_zero = false;
        const auto near_zero = [&](const row_lanes<Lanes>& row, wide root) {
            return (root < missed.least_root) & (row.first != Lanes::all(0));
        };
        if constexpr (rule == update_rule::amsgrad) {
            // Less than `second` where amsgrad was off for a while. The first step missed finds the greatest of all.
            const double beta2 = clock.steps[clock.last - missed.steps + 1].numbers.beta2;
            for (auto& row : rows) {
                const wide later = row.second * Lanes::all(beta2);
                row.greatest = row.greatest > later ? row.greatest : later;
            }
        }
        for (size_t v = 0; v < vectors; ++v) {
            roots[v] = Lanes::root(rule == update_rule::adam ? rows[v].second : rows[v].greatest);
            per_unit[v] = missed.weight / (roots[v] + missed.eps);
            any_near_zero |= Lanes::any(near_zero(rows[v], roots[v]));
        }
        if (any_near_zero) {
            wide summed[vectors];
            sum_terms(clock, missed, roots, summed);
            for (size_t v = 0; v < vectors; ++v) {
                per_unit[v] = near_zero(rows[v], roots[v]) ? summed[v] : per_unit[v];
            }
        }
        for (size_t v = 0; v < vectors; ++v) rows[v].p = rows[v].p - rows[v].first * per_unit[v];
    }
    for (auto& row : rows) {
        row.p = row.p * missed.shrink;
        if constexpr (has_first<rule>) row.first = row.first * missed.first_decay;
        if constexpr (rule == update_rule::adam || rule == update_rule::amsgrad) {
            row.second = row.second * missed.second_decay;
        }
    }
}

}  // namespace
}  // namespace embrow
