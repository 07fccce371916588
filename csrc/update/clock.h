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

#include <cstddef>
#include <cstdint>
#include <vector>

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

struct clock_step {
    step_numbers numbers;
    // Sums over the steps up to this one.
    double log_beta1;
    double log_beta2;
    double log_shrink;
    // Products over the steps after this one, as long as they count.
    double factor;        // j / (q * d)
    double inverse_root;  // 1 / q
    // Sums over the steps after this one: of w, w * e and w * e^2.
    double weight;
    double weight_eps;
    double weight_eps2;
};

// The replay of one row.
struct missed_steps {
    size_t first = 0;  // indices of steps in the clock: those after `first`, up to `last`
    size_t last = 0;
    bool stepwise = false;  // nothing below holds: take the steps one by one
    double weight = 0;
    double eps = 1;
    double least_root = 0;  // of v, from which on weight / (root + eps) is near enough
    double shrink = 1;
    double first_decay = 1;   // of m
    double second_decay = 1;  // of v

    explicit operator bool() const noexcept { return last > first; }
};

class update_clock {
  public:
    // `keeps_greatest`: m is divided by the greatest v (amsgrad).
    // Counts from `step`, up to which every row must be up to date.
    update_clock(int64_t step, bool keeps_greatest);

    void advance(const step_numbers& numbers);

    int64_t step() const noexcept { return base_ + static_cast<int64_t>(steps_.size()) - 1; }
    // How many steps are remembered.
    size_t length() const noexcept { return steps_.size() - 1; }
    // Forgets them: every row must be up to date.
    void restart();

    missed_steps missed(int64_t row_step) const noexcept;
    const clock_step& operator[](size_t index) const noexcept { return steps_[index]; }
    bool keeps_greatest() const noexcept { return keeps_greatest_; }

  private:
    std::vector<clock_step> steps_;
    size_t counting_ = 0;  // steps from here on have sums that are not complete
    int64_t base_;
    bool keeps_greatest_;
    bool stepwise_ = false;
};

}  // namespace embrow
