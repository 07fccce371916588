// The update of rows over lanes of columns, for a `Lanes` of one element or of a vector register. Included after the
// pragma that sets the target, if any; the unnamed namespace keeps each includer's code its own.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "common/prefetch.h"
#include "common/row_sums.h"
#include "common/variant.h"
#include "update/rules.h"
#include "update/stochastic.h"
#include "update/update.h"

namespace embrow {
namespace {

// One element; serves for the columns that no whole vector covers, too.
template <class T>
struct single {
    using at_most_eight = single;  // lanes of at most eight columns
    using value = T;
    using wide = typename sum_of<T>::type;
    using sums = wide;
    static constexpr size_t lanes = 1;
    static wide load(const value* from) noexcept { return static_cast<wide>(*from); }
    static void store(value* to, wide from) noexcept { *to = narrow<T>(from); }
    static wide all(double number) noexcept { return static_cast<wide>(number); }
    static wide root(wide of) noexcept { return std::sqrt(of); }
    static bool any(bool mask) noexcept { return mask; }
    template <class Rows>
    static void sum_rows(const Rows& rows, wide* out, size_t dim) noexcept {
        sum_rows_serial(rows, 1, out, 0, dim);
    }

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

template <class T>
T* row_of(const row_block& block, size_t row) noexcept {
    return reinterpret_cast<T*>(block.data + static_cast<int64_t>(row) * block.stride_bytes);
}

template <class T>
const T* gradient_of(const update_job& job, row_term term) noexcept {
    return reinterpret_cast<const T*>(job.grads + term_position(term) * job.grad_stride_bytes);
}

// The rows of the table and its state that a term is about, and its gradient.
template <update_rule rule>
constexpr size_t rows_of_term = 2 + has_first<rule> + has_second<rule> + (rule == update_rule::amsgrad);

// Calls ask(whether it is to be written, address, bytes) for each of them. Always inlined, as ask() must be: see
// prefetch.h.
template <class T, update_rule rule, class Ask>
[[gnu::always_inline]] inline void each_row(const update_job& job, row_term term, bool has_grads,
                                            const Ask& ask) noexcept {
    constexpr std::true_type to_write;
    const size_t row_bytes = job.dim * sizeof(T);
    const auto address = [&](const row_block& block) {
        return reinterpret_cast<uintptr_t>(row_of<std::byte>(block, term_row(term)));
    };
    if (has_grads) ask(std::false_type{}, reinterpret_cast<uintptr_t>(gradient_of<T>(job, term)), row_bytes);
    ask(to_write, address(job.table), row_bytes);
    if constexpr (has_first<rule>) ask(to_write, address(job.first), row_bytes);
    if constexpr (has_second<rule>) ask(to_write, address(job.second), row_bytes);
    if constexpr (rule == update_rule::rowwise_adagrad) ask(to_write, address(job.second), sizeof(float));
    if constexpr (rule == update_rule::amsgrad) ask(to_write, address(job.greatest), row_bytes);
}

// Asks memory for the rows to be read and written, if they are wide for the farthest ones in parts.
template <class T, update_rule rule>
class lookahead {
  public:
    lookahead(const update_job& job, std::span<const row_term> terms, size_t begin, bool has_grads) noexcept
        : job_(job),
          in_parts_(job.dim * sizeof(T) > most_bytes_at_once),
          distance_(terms_ahead(rows_of_term<rule> * job.dim * sizeof(T),
                                in_parts_ ? ahead_bytes_in_parts : ahead_bytes, most_ahead)),
          next_(terms.data() + begin),
          end_(terms.data() + terms.size()),
          has_grads_(has_grads) {}

    size_t distance() const noexcept { return distance_; }

    // To be called before `term` is read, of terms in order. Returns the term whose rows ask_part() is to ask for, or
    // null.
    const row_term* reach(const row_term* term) noexcept {
        const row_term* stop = static_cast<size_t>(end_ - term) > distance_ ? term + distance_ : end_;
        const row_term* at_once = in_parts_ ? stop - 1 : stop;
        for (next_ = std::max(next_, term); next_ < at_once; ++next_) {
            each_row<T, rule>(job_, *next_, has_grads_,
                              [](auto to_write, uintptr_t row, size_t bytes) __attribute__((always_inline)) {
                                  prefetch_row<decltype(to_write)::value>(row, bytes);
                              });
        }
        return next_ < stop ? next_++ : nullptr;
    }

  private:
    // What is asked for in parts does not queue, so it may be more.
    static constexpr size_t ahead_bytes = 12288;
    static constexpr size_t ahead_bytes_in_parts = 16384;
    static constexpr size_t most_ahead = 24;

    const update_job& job_;
    bool in_parts_;
    size_t distance_;
    const row_term* next_;
    const row_term* end_;
    bool has_grads_;
};

// Asks for a part of a term's rows, if there is a term, while `columns` columns of another's, from `column` on, are
// updated.
template <class T, update_rule rule, size_t columns>
[[gnu::always_inline]] inline void ask_part(const update_job& job, const row_term* term, bool has_grads,
                                            size_t column) noexcept {
    static_assert(part_bytes % (columns * sizeof(T)) == 0);
    const size_t begin = column * sizeof(T);
    if (term == nullptr || begin % part_bytes != 0) return;
    each_row<T, rule>(job, *term, has_grads,
                      [&](auto to_write, uintptr_t row, size_t bytes) __attribute__((always_inline)) {
                          prefetch_part<decltype(to_write)::value>(row, begin, std::min(begin + part_bytes, bytes));
                      });
}

// The gradients of a row's terms, as row_sums.h adds them up.
template <class T>
struct term_gradients {
    using value = T;
    static constexpr bool weighted = false;
    static constexpr bool asks_ahead = true;
    const update_job& job;
    std::span<const row_term> terms;
    size_t distance;

    size_t size() const noexcept { return terms.size(); }
    static bool counts(size_t) noexcept { return true; }
    const T* row(size_t i) const noexcept { return gradient_of<T>(job, terms[i]); }
    uintptr_t ahead(size_t i) const noexcept {
        return reinterpret_cast<uintptr_t>(row(i + distance < terms.size() ? i + distance : i));
    }
};

// The gradient of a row: load() gives its `vectors` sets of lanes of columns from `column` on.

// That of its only term, which stays as it is, so that -0 does.
template <class T>
struct only_gradient {
    const T* row;

    template <class Lanes, size_t vectors>
    [[gnu::always_inline]] void load(size_t column, typename Lanes::wide (&grads)[vectors]) const noexcept {
        unrolled<vectors>([&](auto v) { grads[v] = Lanes::load(row + column + v * Lanes::lanes); });
    }
};

// The sum of its few terms', which memory has been asked for.
template <class T>
struct few_gradients {
    const update_job& job;
    std::span<const row_term> terms;  // at most block_terms

    template <class Lanes, size_t vectors>
    [[gnu::always_inline]] void load(size_t column, typename Lanes::wide (&grads)[vectors]) const noexcept {
        unrolled<vectors>([&](auto v) { grads[v] = Lanes::all(0); });
        for (const row_term term : terms) {
            const T* from = gradient_of<T>(job, term) + column;
            unrolled<vectors>([&](auto v) { grads[v] += Lanes::load(from + v * Lanes::lanes); });
        }
    }
};

// What was found before, times the scale.
template <class T>
struct found_gradient {
    const typename sum_of<T>::type* sums;
    double scale;

    template <class Lanes, size_t vectors>
    [[gnu::always_inline]] void load(size_t column, typename Lanes::wide (&grads)[vectors]) const noexcept {
        std::memcpy(grads, sums + column, sizeof grads);
        if (scale == 1) return;
        for (auto& one : grads) one = one * Lanes::all(scale);
    }
};

// Whether steps are no more than a gradient and a rule: nothing is scaled, decays or is rounded stochastically.
bool are_plain(const update_job& job, bool has_grads) noexcept {
    return has_grads && job.scale == 1 && job.numbers.decay == 0 && job.numbers.shrink == 1 && !job.rounding.on;
}

// One row: its gradient, the row of the table and those of its state. `plain`: the steps are, and the row missed none.
template <class Lanes, update_rule rule, bool plain, class Gradient>
class row_update {
  public:
    using value = typename Lanes::value;
    using wide = typename Lanes::wide;

    row_update(const update_job& job, uint32_t id, const Gradient& gradient) noexcept
        : job_(job),
          gradient_(gradient),
          id_(id),
          table_(row_of<value>(job.table, id_)),
          first_(row_of<value>(job.first, id_)),
          second_(row_of<value>(job.second, id_)),
          greatest_(row_of<value>(job.greatest, id_)) {}

    // What `vectors` sets of lanes of columns from `column` on become.
    template <size_t vectors>
    [[gnu::always_inline]] void compute(size_t column, const lane_numbers<Lanes>& numbers,
                                        const lane_missed<Lanes>& missed, bool has_grads,
                                        row_lanes<Lanes> (&rows)[vectors]) const noexcept {
        wide grads[vectors];
        for (auto& one : grads) one = Lanes::all(0);
        if (plain || has_grads) gradient_.template load<Lanes>(column, grads);
        for (size_t v = 0; v < vectors; ++v) {
            const size_t at = column + v * Lanes::lanes;
            row_lanes<Lanes>& row = rows[v];
            row.p = Lanes::load(table_ + at);
            if constexpr (has_first<rule>) row.first = Lanes::load(first_ + at);
            if constexpr (has_second<rule>) row.second = Lanes::load(second_ + at);
            if constexpr (rule == update_rule::amsgrad) row.greatest = Lanes::load(greatest_ + at);
        }
        if constexpr (!plain) {
            if (missed) catch_up<Lanes, rule>(rows, job_.clock, missed);
            if (!has_grads) return;
        }
        for (size_t v = 0; v < vectors; ++v) take_step<Lanes, rule>(rows[v], grads[v], numbers);
    }

    template <size_t vectors>
    [[gnu::always_inline]] void store(size_t column, const row_lanes<Lanes> (&rows)[vectors]) const noexcept {
        using lanes = row_lanes<Lanes>;
        store_part<0>(table_, column, rows, &lanes::p);
        if constexpr (has_first<rule>) store_part<1>(first_, column, rows, &lanes::first);
        if constexpr (has_second<rule>) store_part<2>(second_, column, rows, &lanes::second);
        if constexpr (rule == update_rule::amsgrad) store_part<3>(greatest_, column, rows, &lanes::greatest);
    }

  private:
    // `tensor` numbers the parts.
    template <uint32_t tensor, size_t vectors>
    [[gnu::always_inline]] void store_part(value* to, size_t column, const row_lanes<Lanes> (&rows)[vectors],
                                           wide row_lanes<Lanes>::* part) const noexcept {
        if constexpr (sizeof(value) == 2 && !plain) {
            if (job_.rounding.on) {
                random_words<Lanes> random{};
                for (size_t v = 0; v < vectors; ++v) {
                    const size_t at = column + v * Lanes::lanes;
                    // One draw does for all vectors of eight columns.
                    if (v == 0 || Lanes::lanes < word_columns) random = draw<Lanes>(job_.rounding, tensor, id_, at);
                    Lanes::store(to + at,
                                 round_stochastically<Lanes>(rows[v].*part, random.word[at / word_columns % 4]));
                }
                return;
            }
        }
        for (size_t v = 0; v < vectors; ++v) Lanes::store(to + column + v * Lanes::lanes, rows[v].*part);
    }

    const update_job& job_;
    Gradient gradient_;
    uint32_t id_;
    value* table_;
    value* first_;
    value* second_;
    value* greatest_;
};

// Meanwhile the rows of term `next`, if any, are asked for, which are those of `next_rule`.
template <class Lanes, update_rule rule, bool plain, update_rule next_rule, class Gradient>
void update_columns(const update_job& job, uint32_t id, const Gradient& gradient, const step_numbers& step,
                    const missed_steps& missed, bool has_grads, const row_term* next) noexcept {
    using rest = single<typename Lanes::value>;
    const row_update<Lanes, rule, plain, Gradient> update(job, id, gradient);
    lane_numbers<Lanes> numbers(step);
    if constexpr (plain) numbers.decays = numbers.shrinks = false;
    const lane_missed<Lanes> lanes_missed(missed);
    const auto run = [&]<size_t vectors>(size_t column) {
        ask_part<typename Lanes::value, next_rule, vectors * Lanes::lanes>(job, next, has_grads, column);
        row_lanes<Lanes> rows[vectors] = {};  // which GCC 12 does not see compute() fill in the serial variant
        update.compute(column, numbers, lanes_missed, has_grads, rows);
        update.store(column, rows);
    };
    // The last vector overlaps the one before it, so it is read before that is written and finds the same numbers. The
    // bits of stochastic rounding come in vectors that begin at multiples of eight.
    const bool overlaps = job.dim % Lanes::lanes != 0 && job.dim > Lanes::lanes && (plain || !job.rounding.on);
    row_lanes<Lanes> last[1];
    if (overlaps) update.compute(job.dim - Lanes::lanes, numbers, lanes_missed, has_grads, last);
    size_t column = 0;
    for (; column + 4 * Lanes::lanes <= job.dim; column += 4 * Lanes::lanes) run.template operator()<4>(column);
    for (; column + Lanes::lanes <= job.dim; column += Lanes::lanes) run.template operator()<1>(column);
    if (overlaps) return update.store(job.dim - Lanes::lanes, last);
    for (; column < job.dim; ++column) {
        row_lanes<rest> rows[1];
        const row_update<rest, rule, plain, Gradient> one(job, id, gradient);
        one.compute(column, lane_numbers<rest>(step), lane_missed<rest>(missed), has_grads, rows);
        one.store(column, rows);
    }
}

// The rows of terms from `begin` on, one after another, and their gradients; `sums` has room for one.
template <class Lanes, update_rule rule>
class row_walk {
  public:
    using value = typename Lanes::value;
    using number = typename sum_of<value>::type;

    row_walk(const update_job& job, std::span<const row_term> terms, size_t begin, bool has_grads,
             std::byte* sums) noexcept
        : job_(job),
          terms_(terms),
          ahead_(job, terms, begin, has_grads),
          next_(begin),
          sums_(reinterpret_cast<number*>(sums)) {}

    // Goes to the next row.
    uint32_t advance() noexcept {
        of_row_ = terms_.subspan(next_, run_end(terms_, next_) - next_);
        next_ += of_row_.size();
        asked_ = ahead_.reach(of_row_.data());
        return term_row(of_row_[0]);
    }
    size_t next() const noexcept { return next_; }
    // The term of the rows that are asked for in parts while this row is updated, or null.
    const row_term* asked() const noexcept { return asked_; }

    // Calls use(gradient) with that of the row where the scale is 1, whatever is soonest added up.
    template <class Use>
    [[gnu::always_inline]] void with_gradient(const Use& use) noexcept {
        if (of_row_.size() == 1) {
            use(only_gradient<value>{gradient_of<value>(job_, of_row_[0])});
        } else if (of_row_.size() <= ahead_.distance()) {
            use(few_gradients<value>{job_, of_row_});
        } else {
            use(find_gradient());
        }
    }

    found_gradient<value> find_gradient() noexcept {
        if (of_row_.size() == 1) {
            copy(gradient_of<value>(job_, of_row_[0]));
        } else {
            Lanes::sum_rows(term_gradients<value>{job_, of_row_, ahead_.distance()}, sums_, job_.dim);
            // Else what advance() found to be asked for in parts still is to be.
            if (of_row_.size() > ahead_.distance()) asked_ = ahead_.reach(terms_.data() + next_);
        }
        return {sums_, job_.scale};
    }

  private:
    void copy(const value* from) noexcept {
        size_t column = 0;
        for (; column + Lanes::lanes <= job_.dim; column += Lanes::lanes) {
            const auto loaded = Lanes::load(from + column);
            std::memcpy(sums_ + column, &loaded, sizeof loaded);
        }
        for (; column < job_.dim; ++column) sums_[column] = static_cast<number>(from[column]);
    }

    const update_job& job_;
    std::span<const row_term> terms_;
    lookahead<value, rule> ahead_;
    const row_term* asked_ = nullptr;
    size_t next_;
    std::span<const row_term> of_row_;
    number* sums_;
};

template <class Lanes, update_rule rule>
void update_run(const update_job& job, std::span<const row_term> terms, size_t begin, size_t end, bool has_grads,
                std::byte* sums) noexcept {
    const bool plain = are_plain(job, has_grads);
    row_walk<Lanes, rule> rows(job, terms, begin, has_grads, sums);
    while (rows.next() < end) {
        const uint32_t id = rows.advance();
        missed_steps missed;
        if (job.clock.steps != nullptr) {
            int32_t& row_step = job.row_steps[id];
            missed = job.clock.missed(row_step);
            row_step = static_cast<int32_t>(job.clock.step() + (has_grads ? 1 : 0));
        }
        if (plain && missed.steps == 0) {
            rows.with_gradient([&](const auto& gradient) {
                update_columns<Lanes, rule, true, rule>(job, id, gradient, job.numbers, missed, true, rows.asked());
            });
        } else {
            const auto gradient = has_grads ? rows.find_gradient() : found_gradient<typename Lanes::value>{};
            update_columns<Lanes, rule, false, rule>(job, id, gradient, job.numbers, missed, has_grads, rows.asked());
        }
    }
}

}  // namespace
}  // namespace embrow
