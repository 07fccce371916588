#include "update/clock.h"

namespace embrow {

bool has_sums(const step_numbers& numbers, bool keeps_greatest) noexcept {
    // Above this ratio of one weight to the one before it the sums would run over more than four thousand steps, or not
    // converge.
    constexpr double greatest_ratio = 0.995;
    const double root = keeps_greatest ? 1 : std::sqrt(numbers.beta2);
    return numbers.decay == 0 && numbers.shrink > 0 && numbers.beta1 < greatest_ratio * root * numbers.shrink;
}

update_clock::update_clock(int64_t step, bool keeps_greatest)
    : steps_(1), base_(step), keeps_greatest_(keeps_greatest) {}

void update_clock::restart() {
    base_ = view().step();
    steps_.resize(1);
    steps_[0] = {};
    stepwise_ = false;
}

void update_clock::advance(const step_numbers& numbers) {
    stepwise_ = stepwise_ || !has_sums(numbers, keeps_greatest_);
    if (!stepwise_) {
        for (auto past = steps_.rbegin(); past != steps_.rend() && past->counts(); ++past) {
            past->add(numbers, keeps_greatest_);
        }
    }
    steps_.push_back(steps_.back().next(numbers));
}

}  // namespace embrow
