// steps -> what a row missed: the history of a table's optimizer, and the replay of it for one row.
//
// An optimizer with dense gradients goes on moving a row after its last gradient, by its momentum, and shrinks it by
// weight decay. Rows without a gradient are left alone here and catch up before they are read: after step t, a row last
// brought up to date at step t0 moves by the steps s = t0 + 1 .. t with a gradient of zero.
//
// For Adam, with j(s) = the product of beta1 over t0 + 1 .. s, q(s) that of sqrt(beta2), d(s) that of the decoupled
// decay's factors 1 - lr * weight_decay, and x = sqrt(v) at t0, those steps come to
//
//     p <- d(t) * (p - m * sum over s of w(s) / (x + e(s)))      w(s) = size(s) * j(s) / (q(s) * d(s))
//     m <- j(t) * m                                              e(s) = eps(s) / q(s)
//     v <- q(t)^2 * v
//
// The weights fall by beta1 / sqrt(beta2) a step, so only some two hundred count. e(s) hardly varies over them: with
// its mean e under the weights w, the sum is W / (x + e) up to a relative error of var(e) / x^2, where W is the sum of
// w; so all elements of a row share W and e. Elements for which that is not small enough are summed term by term. The
// same holds for amsgrad, with q = 1 below x, and for momentum SGD, with x + e = 1.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/device.h"

namespace embrow {

// The numbers of one step; see update_rule for what is done with them.
struct step_numbers {
    double size;
    double direct;
    double eps;
    double beta1;
    double beta2;
    double gain;
    double decay;
    double shrink;
};

// A product of more factors than a double has exponents for, number * 2^exponent; of arithmetic that has the same bits
// everywhere, which exp() of a sum of logarithms has not.
struct long_product {
    double number = 1;
    int exponent = 0;

    // Nothing is left after a factor of 0, nor after this one; division needs something.
    EMBROW_DEVICE void multiply(double factor) noexcept {
        constexpr double least = 1e-300;
        int more = 0;
        number = std::frexp(number * (factor > least ? factor : least), &more);
        exponent += more;
    }
    EMBROW_DEVICE double since(const long_product& then) const noexcept {
        return std::ldexp(number / then.number, exponent - then.exponent);
    }
};

struct clock_step {
    step_numbers numbers{};
    // Over the steps up to this one.
    long_product beta1;
    long_product beta2;
    long_product shrink;
    // Products over the steps after this one, as long as they count.
    double factor = 1;        // j / (q * d)
    double inverse_root = 1;  // 1 / q
    // Sums over the steps after this one: of w, w * e and w * e^2.
    double weight = 0;
    double weight_eps = 0;
    double weight_eps2 = 0;

    // Whether later steps still change the sums. If not, this holds of all steps before this one, too.
    EMBROW_DEVICE bool counts() const noexcept { return factor >= 1e-9; }

    // Adds a later step to the products and sums.
    EMBROW_DEVICE void add(const step_numbers& later, bool keeps_greatest) noexcept {
        const double root = keeps_greatest ? 1 : std::sqrt(later.beta2);
        factor *= later.beta1 / (root * later.shrink);
        inverse_root *= 1 / root;
        const double w = later.size * factor;
        const double e = later.eps * inverse_root;
        weight += w;
        weight_eps += w * e;
        weight_eps2 += w * e * e;
    }

    EMBROW_DEVICE clock_step next(const step_numbers& of_next) const noexcept {
        clock_step result;
        result.numbers = of_next;
        result.beta1 = beta1;
        result.beta2 = beta2;
        result.shrink = shrink;
        result.beta1.multiply(of_next.beta1);
        result.beta2.multiply(of_next.beta2);
        result.shrink.multiply(of_next.shrink);
        return result;
    }
};

// Whether the sums of a clock_step can stand for the step; else rows that missed it take the steps one by one.
bool has_sums(const step_numbers& numbers, bool keeps_greatest) noexcept;

// The replay of one row.
struct missed_steps {
    size_t steps = 0;  // how many, the clock's last ones
    // What they come to, unless the clock is `stepwise`.
    double weight = 0;
    double eps = 1;
    double least_root = 0;  // of v, from which on weight / (root + eps) is near enough
    double shrink = 1;
    double first_decay = 1;   // of m
    double second_decay = 1;  // of v

    EMBROW_DEVICE explicit operator bool() const noexcept { return steps > 0; }
};

// The history as rows are replayed from it; on a GPU, `steps` lies in the device's memory.
struct clock_view {
    const clock_step* steps = nullptr;  // null: rows do not catch up
    size_t last = 0;                    // of `steps`; the first is where counting began
    int64_t base = 0;                   // the number of the first
    bool keeps_greatest = false;
    bool stepwise = false;  // take steps one by one: the sums do not hold

    EMBROW_DEVICE int64_t step() const noexcept { return base + static_cast<int64_t>(last); }
    EMBROW_DEVICE missed_steps missed(int64_t row_step) const noexcept;
};

// What W / (x + e) may be wrong by, relatively.
constexpr double clock_tolerance = 1e-7;

EMBROW_DEVICE inline missed_steps clock_view::missed(int64_t row_step) const noexcept {
    missed_steps missed;
    missed.steps = static_cast<size_t>(step() - row_step);
    if (!missed || stepwise) return missed;
    const clock_step& then = steps[last - missed.steps];
    const clock_step& now = steps[last];
    missed.weight = then.weight;
    if (then.weight > 0) {
        missed.eps = then.weight_eps / then.weight;
        const double variance = then.weight_eps2 / then.weight - missed.eps * missed.eps;
        missed.least_root = std::sqrt((variance > 0 ? variance : 0) / clock_tolerance);
    }
    missed.shrink = now.shrink.since(then.shrink);
    missed.first_decay = now.beta1.since(then.beta1);
    missed.second_decay = now.beta2.since(then.beta2);
    return missed;
}

class update_clock {
  public:
    // `keeps_greatest`: m is divided by the greatest v (amsgrad).
    // Counts from `step`, up to which every row must be up to date.
    update_clock(int64_t step, bool keeps_greatest);

    void advance(const step_numbers& numbers);

    // How many steps are remembered.
    size_t length() const noexcept { return steps_.size() - 1; }
    // Forgets them: every row must be up to date.
    void restart();

    clock_view view() const noexcept { return {steps_.data(), length(), base_, keeps_greatest_, stepwise_}; }

  private:
    std::vector<clock_step> steps_;
    int64_t base_;
    bool keeps_greatest_;
    bool stepwise_ = false;
};

}  // namespace embrow
