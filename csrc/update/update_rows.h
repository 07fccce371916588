// The update of rows over lanes of columns, for a `Lanes` of one element or of a vector register. Included after the
// pragma that sets the target, if any; the unnamed namespace keeps each includer's code its own.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>

#include "common/variant.h"
#include "update/stochastic.h"
#include "update/update.h"

namespace embrow {
namespace {

// One element; serves for the columns that no whole vector covers, too.
template <class T>
struct single {
    using value = T;
    using wide = typename sum_of<T>::type;
    static constexpr size_t lanes = 1;
    static wide load(const value* from) noexcept { return static_cast<wide>(*from); }
    static void store(value* to, wide from) noexcept { *to = narrow<T>(from); }
    static wide all(double number) noexcept { return static_cast<wide>(number); }
    static wide root(wide of) noexcept { return std::sqrt(of); }
    static bool any(bool mask) noexcept { return mask; }

    // Of 16-bit elements alone.
    using words = uint32_t;
    struct product {
        words high;
        words low;
    };
    static words all_words(uint32_t word) noexcept { return word; }
    static words count_from(uint32_t first) noexcept { return first; }
    static product multiply(words a, uint32_t b) noexcept {
        const uint64_t whole = static_cast<uint64_t>(a) * b;
        return {static_cast<uint32_t>(whole >> 32), static_cast<uint32_t>(whole)};
    }
    static words bits_of(wide number) noexcept { return std::bit_cast<words>(number); }
    static wide number_of(words bits) noexcept { return std::bit_cast<wide>(bits); }
    static wide to_number(words word) noexcept { return static_cast<wide>(word); }
    static wide floor(wide of) noexcept { return std::floor(of); }
};

// The elements of one row that stand in one set of lanes.
template <class Lanes>
struct row_lanes {
    typename Lanes::wide p;
    typename Lanes::wide first;
    typename Lanes::wide second;
    typename Lanes::wide greatest;
};

template <class T>
T* row_of(const row_block& block, size_t row) noexcept {
    return reinterpret_cast<T*>(block.data + static_cast<int64_t>(row) * block.stride_bytes);
}

constexpr bool has_first(update_rule rule) noexcept {
    return rule == update_rule::momentum || rule == update_rule::adam || rule == update_rule::amsgrad;
}
constexpr bool has_second(update_rule rule) noexcept {
    return rule == update_rule::adagrad || rule == update_rule::adam || rule == update_rule::amsgrad;
}

template <class Lanes, update_rule rule>
void take_step(row_lanes<Lanes>& row, typename Lanes::wide g, const step_numbers& numbers) noexcept {
    if (numbers.decay != 0) g = g + Lanes::all(numbers.decay) * row.p;
    if (numbers.shrink != 1) row.p = row.p * Lanes::all(numbers.shrink);
    if constexpr (rule == update_rule::sgd) {
        row.p = row.p - Lanes::all(numbers.direct) * g;
    } else if constexpr (rule == update_rule::momentum) {
        row.first = Lanes::all(numbers.beta1) * row.first + Lanes::all(numbers.gain) * g;
        row.p = row.p - (Lanes::all(numbers.size) * row.first + Lanes::all(numbers.direct) * g);
    } else if constexpr (rule == update_rule::adagrad) {
        row.second = row.second + g * g;
        row.p = row.p - Lanes::all(numbers.size) * (g / (Lanes::root(row.second) + Lanes::all(numbers.eps)));
    } else {
        row.first = row.first + Lanes::all(1 - numbers.beta1) * (g - row.first);
        row.second = Lanes::all(numbers.beta2) * row.second + Lanes::all(1 - numbers.beta2) * (g * g);
        auto below = row.second;
        if constexpr (rule == update_rule::amsgrad) {
            // A NaN must stay, as in torch.maximum.
            row.greatest = row.greatest > row.second ? row.greatest : row.second;
            below = row.greatest;
        }
        row.p = row.p - Lanes::all(numbers.size) * (row.first / (Lanes::root(below) + Lanes::all(numbers.eps)));
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
            take_step<Lanes, rule>(row, Lanes::all(0), clock[s].numbers);
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

// Sums the gradients of `vectors` sets of lanes of columns from `column` on.
template <class Lanes, size_t vectors>
void sum_grads(const update_job& job, std::span<const row_term> terms, size_t column,
               typename Lanes::wide (&total)[vectors]) noexcept {
    const auto row_from = [&](row_term term) {
        return reinterpret_cast<const typename Lanes::value*>(job.grads + term_position(term) * job.grad_stride_bytes) +
               column;
    };
    for (auto& sum : total) sum = Lanes::all(0);
    for (size_t begin = 0; begin < terms.size(); begin += block_terms) {
        const size_t end = std::min(begin + block_terms, terms.size());
        typename Lanes::wide block[vectors] = {};
        for (size_t i = begin; i < end; ++i) {
            const auto* from = row_from(terms[i]);
            for (size_t v = 0; v < vectors; ++v) block[v] = block[v] + Lanes::load(from + v * Lanes::lanes);
        }
        for (size_t v = 0; v < vectors; ++v) total[v] = total[v] + block[v];
    }
    if (job.scale != 1) {
        for (auto& sum : total) sum = sum * Lanes::all(job.scale);
    }
}

// Writes `rows[v].*part` of `vectors` sets of lanes of columns from `column` on; `tensor` numbers the parts.
template <class Lanes, size_t vectors>
void store_part(const update_job& job, const row_block& block, uint32_t tensor, uint32_t id, size_t column,
                const row_lanes<Lanes> (&rows)[vectors], typename Lanes::wide row_lanes<Lanes>::* part) noexcept {
    auto* to = row_of<typename Lanes::value>(block, id) + column;
    if constexpr (sizeof(typename Lanes::value) == 2) {
        if (job.rounding.on) {
            random_words<Lanes> random{};
            for (size_t v = 0; v < vectors; ++v) {
                const size_t at = column + v * Lanes::lanes;
                // One draw does for all vectors of eight columns.
                if (v == 0 || Lanes::lanes < word_columns) random = draw<Lanes>(job.rounding, tensor, id, at);
                const auto rounded = round_stochastically<Lanes>(rows[v].*part, random[at / word_columns % 4]);
                Lanes::store(to + v * Lanes::lanes, rounded);
            }
            return;
        }
    }
    for (size_t v = 0; v < vectors; ++v) Lanes::store(to + v * Lanes::lanes, rows[v].*part);
}

template <class Lanes, update_rule rule, size_t vectors>
void update_columns(const update_job& job, std::span<const row_term> terms, const step_numbers& numbers,
                    const missed_steps& missed, bool has_grads, size_t column) noexcept {
    using value = typename Lanes::value;
    const uint32_t id = term_row(terms[0]);
    typename Lanes::wide grads[vectors];
    if (has_grads) sum_grads<Lanes, vectors>(job, terms, column, grads);
    row_lanes<Lanes> rows[vectors] = {};
    for (size_t v = 0; v < vectors; ++v) {
        const size_t at = column + v * Lanes::lanes;
        row_lanes<Lanes>& row = rows[v];
        row.p = Lanes::load(row_of<value>(job.table, id) + at);
        if constexpr (has_first(rule)) row.first = Lanes::load(row_of<value>(job.first, id) + at);
        if constexpr (has_second(rule)) row.second = Lanes::load(row_of<value>(job.second, id) + at);
        if constexpr (rule == update_rule::amsgrad) row.greatest = Lanes::load(row_of<value>(job.greatest, id) + at);
        if (missed) catch_up<Lanes, rule>(row, *job.clock, missed);
        if (has_grads) take_step<Lanes, rule>(row, grads[v], numbers);
    }
    using lanes = row_lanes<Lanes>;
    store_part<Lanes>(job, job.table, 0, id, column, rows, &lanes::p);
    if constexpr (has_first(rule)) store_part<Lanes>(job, job.first, 1, id, column, rows, &lanes::first);
    if constexpr (has_second(rule)) store_part<Lanes>(job, job.second, 2, id, column, rows, &lanes::second);
    if constexpr (rule == update_rule::amsgrad) {
        store_part<Lanes>(job, job.greatest, 3, id, column, rows, &lanes::greatest);
    }
}

template <class Lanes, update_rule rule>
void update_all_columns(const update_job& job, std::span<const row_term> terms, const step_numbers& numbers,
                        const missed_steps& missed, bool has_grads) noexcept {
    size_t column = 0;
    for (; column + 4 * Lanes::lanes <= job.dim; column += 4 * Lanes::lanes) {
        update_columns<Lanes, rule, 4>(job, terms, numbers, missed, has_grads, column);
    }
    for (; column + Lanes::lanes <= job.dim; column += Lanes::lanes) {
        update_columns<Lanes, rule, 1>(job, terms, numbers, missed, has_grads, column);
    }
    for (; column < job.dim; ++column) {
        update_columns<single<typename Lanes::value>, rule, 1>(job, terms, numbers, missed, has_grads, column);
    }
}

// Adds up squares in eight partial sums, whatever the lanes, so that all of them give the same bits.
template <class Lanes>
struct squares {
    using number = typename sum_of<typename Lanes::value>::type;
    static constexpr size_t parts = 8;
    number sums[parts] = {};

    void add(const update_job& job, std::span<const row_term> terms, size_t column) noexcept {
        typename Lanes::wide grads[1];
        sum_grads<Lanes, 1>(job, terms, column, grads);
        if (job.numbers.decay != 0) {
            const auto* weights = row_of<typename Lanes::value>(job.table, term_row(terms[0]));
            grads[0] = grads[0] + Lanes::all(job.numbers.decay) * Lanes::load(weights + column);
        }
        number one[Lanes::lanes];
        std::memcpy(one, grads, sizeof one);
        for (size_t i = 0; i < Lanes::lanes; ++i) sums[(column + i) % parts] += one[i] * one[i];
    }

    double total() const noexcept {
        double of_all = 0;
        for (number sum : sums) of_all += static_cast<double>(sum);
        return of_all;
    }
};

// The gradients are summed twice, which costs less than keeping the sums of wide rows.
template <class Lanes>
void update_row_by_mean(const update_job& job, std::span<const row_term> terms) noexcept {
    squares<Lanes> of_row;
    size_t column = 0;
    for (; column + Lanes::lanes <= job.dim; column += Lanes::lanes) of_row.add(job, terms, column);
    squares<single<typename Lanes::value>> of_rest;
    std::copy(std::begin(of_row.sums), std::end(of_row.sums), of_rest.sums);
    for (; column < job.dim; ++column) of_rest.add(job, terms, column);
    float& sum = *row_of<float>(job.second, term_row(terms[0]));
    sum += static_cast<float>(of_rest.total() / static_cast<double>(job.dim));
    step_numbers numbers = job.numbers;
    numbers.direct = numbers.size / (std::sqrt(static_cast<double>(sum)) + numbers.eps);
    update_all_columns<Lanes, update_rule::sgd>(job, terms, numbers, {}, true);
}

template <class Lanes, update_rule rule>
void update_row(const update_job& job, std::span<const row_term> terms, bool has_grads) noexcept {
    if constexpr (rule == update_rule::rowwise_adagrad) {
        if (has_grads && job.dim > 0) update_row_by_mean<Lanes>(job, terms);
    } else {
        missed_steps missed;
        if (job.clock != nullptr) {
            int32_t& row_step = job.row_steps[term_row(terms[0])];
            missed = job.clock->missed(row_step);
            row_step = static_cast<int32_t>(job.clock->step() + (has_grads ? 1 : 0));
        }
        update_all_columns<Lanes, rule>(job, terms, job.numbers, missed, has_grads);
    }
}

// How far ahead memory is asked for the rows to be read and written, which only the ids foretell.
constexpr size_t terms_ahead = 4;
constexpr size_t line = 64;
constexpr size_t most_lines = 16;  // of one row; the hardware's own prefetcher has understood by then

inline void ask_for(const std::byte* from, size_t bytes) noexcept {
    for (size_t at = 0; at < bytes; at += line) __builtin_prefetch(from + at, 1);
}

template <class Lanes, update_rule rule>
void update_run(const update_job& job, std::span<const row_term> terms, size_t begin, size_t end,
                bool has_grads) noexcept {
    const size_t row_bytes = std::min(job.dim * sizeof(typename Lanes::value), most_lines * line);
    size_t asked = begin;
    while (begin < end) {
        const size_t next = run_end(terms, begin);
        for (asked = std::max(asked, begin); asked < std::min(begin + terms_ahead, terms.size()); ++asked) {
            const size_t id = term_row(terms[asked]);
            if (has_grads) ask_for(job.grads + term_position(terms[asked]) * job.grad_stride_bytes, row_bytes);
            ask_for(row_of<std::byte>(job.table, id), row_bytes);
            if constexpr (has_first(rule)) ask_for(row_of<std::byte>(job.first, id), row_bytes);
            if constexpr (has_second(rule)) ask_for(row_of<std::byte>(job.second, id), row_bytes);
            if constexpr (rule == update_rule::amsgrad) ask_for(row_of<std::byte>(job.greatest, id), row_bytes);
        }
        update_row<Lanes, rule>(job, terms.subspan(begin, next - begin), has_grads);
        begin = next;
    }
}

template <class Lanes>
void update_with(const update_job& job, std::span<const row_term> terms, size_t begin, size_t end,
                 bool has_grads) noexcept {
    switch (job.rule) {
        case update_rule::sgd:
            return update_run<Lanes, update_rule::sgd>(job, terms, begin, end, has_grads);
        case update_rule::momentum:
            return update_run<Lanes, update_rule::momentum>(job, terms, begin, end, has_grads);
        case update_rule::adagrad:
            return update_run<Lanes, update_rule::adagrad>(job, terms, begin, end, has_grads);
        case update_rule::rowwise_adagrad:
            return update_run<Lanes, update_rule::rowwise_adagrad>(job, terms, begin, end, has_grads);
        case update_rule::adam:
            return update_run<Lanes, update_rule::adam>(job, terms, begin, end, has_grads);
        case update_rule::amsgrad:
            return update_run<Lanes, update_rule::amsgrad>(job, terms, begin, end, has_grads);
    }
}

}  // namespace
}  // namespace embrow
