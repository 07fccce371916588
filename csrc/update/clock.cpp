#include "update/clock.h"

#include <algorithm>
#include <cmath>

namespace embrow {
namespace {

constexpr double negligible = 1e-9;

// What W / (x + e) may be wrong by, relatively.
constexpr double tolerance = 1e-7;

// Above this ratio of one weight to the one before it the sums would run over more than four thousand steps, or not
// converge.
constexpr double greatest_ratio = 0.995;

constexpr clock_step fresh{.numbers = {},
                           .log_beta1 = 0,
                           .log_beta2 = 0,
                           .log_shrink = 0,
                           .factor = 1,
                           .inverse_root = 1,
                           .weight = 0,
                           .weight_eps = 0,
                           .weight_eps2 = 0};

// A beta of 0 has no logarithm; this far below it nothing is left either.
double log_of(double factor) noexcept {
    return std::log(std::max(factor, 1e-300));
}

}  // namespace

update_clock::update_clock(int64_t step, bool keeps_greatest) : base_(step), keeps_greatest_(keeps_greatest) {
    steps_.push_back(fresh);
}

void update_clock::restart() {
    base_ = step();
    steps_.assign(1, fresh);
    counting_ = 0;
    stepwise_ = false;
}

void update_clock::advance(const step_numbers& numbers) {
    const double root = keeps_greatest_ ? 1 : std::sqrt(numbers.beta2);
    stepwise_ = stepwise_ || numbers.decay != 0 || numbers.shrink <= 0 ||
                numbers.beta1 >= greatest_ratio * root * numbers.shrink;
    if (!stepwise_) {
        const double factor = numbers.beta1 / (root * numbers.shrink);
        const double inverse_root = 1 / root;
        for (size_t i = counting_; i < steps_.size(); ++i) {
            clock_step& past = steps_[i];
            past.factor *= factor;
            past.inverse_root *= inverse_root;
            const double weight = numbers.size * past.factor;
            const double eps = numbers.eps * past.inverse_root;
            past.weight += weight;
            past.weight_eps += weight * eps;
            past.weight_eps2 += weight * eps * eps;
        }
        while (counting_ < steps_.size() && steps_[counting_].factor < negligible) ++counting_;
    }
    clock_step now = fresh;
    now.numbers = numbers;
    now.log_beta1 = steps_.back().log_beta1 + log_of(numbers.beta1);
    now.log_beta2 = steps_.back().log_beta2 + log_of(numbers.beta2);
    now.log_shrink = steps_.back().log_shrink + log_of(numbers.shrink);
    steps_.push_back(now);
}

missed_steps update_clock::missed(int64_t row_step) const noexcept {
    missed_steps missed;
    missed.first = static_cast<size_t>(row_step - base_);
    missed.last = steps_.size() - 1;
    missed.stepwise = stepwise_;
    if (!missed || stepwise_) return missed;
    const clock_step& then = steps_[missed.first];
    const clock_step& now = steps_.back();
    missed.weight = then.weight;
    if (then.weight > 0) {
        missed.eps = then.weight_eps / then.weight;
        const double variance = then.weight_eps2 / then.weight - missed.eps * missed.eps;
        missed.least_root = std::sqrt(std::max(variance, 0.0) / tolerance);
    }
    if (now.log_shrink != then.log_shrink) missed.shrink = std::exp(now.log_shrink - then.log_shrink);
    missed.first_decay = std::exp(now.log_beta1 - then.log_beta1);
    missed.second_decay = std::exp(now.log_beta2 - then.log_beta2);
    return missed;
}

}  // namespace embrow
