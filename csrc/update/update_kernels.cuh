// Device code of the update; update_cuda.h is the contract, update_launch.cuh chooses the kernel.
//
// A warp takes a tile of up to 32 rows. First each lane looks one of them up: which row, which gradients, what it
// missed. Then groups of lanes, the smallest power of two that covers a row, go through the tile, and every lane has
// `columns` neighboring columns at a time, 16 bytes where addresses allow. 40 columns of float32, 10 chunks of 16
// bytes, so 16 lanes to a row and a tile of 8:
//
//     lane     0      1      2      3      4      5      6      7      8 ... 31
//     look up  row 0  row 1  row 2  row 3  row 4  row 5  row 6  row 7
//
//     lane     0 1 2 3 4 5 6 7 8 9 . . . . . . | 0 1 2 3 4 5 6 7 8 9 . . . . . .
//     step 0   row 0                           | row 1
//     step 1   row 2                           | row 3
#pragma once

#include <cstdint>

#include "common/element.cuh"
#include "common/ids.cuh"
#include "common/run_sums.cuh"
#include "update/rules.h"
#include "update/stochastic.h"
#include "update/update_cuda.h"

namespace embrow::device {

constexpr int update_threads = 128;  // small, so that few rows still reach many multiprocessors
constexpr int update_warps = update_threads / warp_lanes;
constexpr int update_steps = 4;  // of a tile, unless that makes more than 32 rows

// Or more; allows 128 registers, and 168 where that spills: state of eight columns, of four with two parts, double.
template <class T, update_rule rule, int columns>
constexpr int update_blocks_resident =
    columns == 8 || sizeof(T) == 8 || (columns * sizeof(T) == 16 && has_first<rule> && has_second<rule>) ? 3 : 4;

// One column; see update_rows.h for what `Lanes` are.
template <class T>
struct column_lane {
    using value = T;
    using wide = typename sum_of<T>::type;
    static constexpr size_t lanes = 1;
    static __device__ wide load(const value* from) { return widen(*from); }
    static __device__ void store(value* to, wide from) { *to = narrowed<T>(from); }
    static __host__ __device__ wide all(double number) { return static_cast<wide>(number); }
    static __device__ wide root(wide of) { return std::sqrt(of); }
    static __device__ bool any(bool mask) { return mask; }

    // Of 16-bit elements alone.
    using words = uint32_t;
    struct product {
        words high;
        words low;
    };
    static __device__ words all_words(uint32_t word) { return word; }
    static __device__ words count_from(uint32_t first) { return first; }
    static __device__ product multiply(words a, uint32_t b) { return {__umulhi(a, b), a * b}; }
    static __device__ words bits_of(wide number) { return __float_as_uint(number); }
    static __device__ wide number_of(words bits) { return __uint_as_float(bits); }
    static __device__ wide to_number(words word) { return static_cast<wide>(word); }
    static __device__ wide floor(wide of) { return floorf(of); }
};

template <class T>
__device__ T* row_at(const row_block& block, uint32_t row) {
    return reinterpret_cast<T*>(block.data + static_cast<int64_t>(row) * block.stride_bytes);
}

enum class row_source : uint8_t { runs, ids, table };

// Which rows a launch goes through: with gradients those of `sums.runs`; else those of the job's ids, which only catch
// up, or all of the table.
struct wanted_rows {
    row_source source;
    run_sums sums;
    const uint32_t* bad;  // not 0 if any id lies outside the table; null: none can

    __device__ bool have_grads() const { return source == row_source::runs; }
    __device__ int64_t count(const update_job& job) const {
        switch (source) {
            case row_source::runs:
                return *sums.runs.count;
            case row_source::ids:
                return static_cast<int64_t>(job.ids.count);
            case row_source::table:
                return job.rows;
        }
        return 0;
    }
};

// What one lane found out about a row, for the lanes that update it.
template <class Lanes>
struct found_row {
    bool wanted;
    uint32_t row;
    term_span terms;
    lane_missed<Lanes> missed;
    typename Lanes::wide direct;  // of rowwise_adagrad
};

// Notes in row_steps that the row will be up to date. Of several lanes that meet the same row in `ids`, one is told
// what the row missed: the one that changes its step.
template <class Lanes>
__device__ void look_up(const update_job& job, const wanted_rows& wanted, int64_t index, found_row<Lanes>& found) {
    switch (wanted.source) {
        case row_source::runs:
            found.row = __ldg(wanted.sums.runs.rows + index);
            found.terms = span_of_run(wanted.sums.runs, static_cast<uint32_t>(index));
            break;
        case row_source::ids:
            found.row = static_cast<uint32_t>(load_id(job.ids, index));
            break;
        case row_source::table:
            found.row = static_cast<uint32_t>(index);
            break;
    }
    const bool trained = job.trained == nullptr || job.trained[found.row];
    found.wanted = trained && wanted.have_grads();
    found.missed.steps = 0;
    if (job.clock.steps == nullptr || (!trained && wanted.source != row_source::table)) return;
    const auto now = static_cast<int32_t>(job.clock.step() + (wanted.have_grads() ? 1 : 0));
    const int32_t before = atomicExch(job.row_steps + found.row, now);
    if (!trained || before == now) return;
    found.wanted = true;
    found.missed = lane_missed<Lanes>(job.clock.missed(before));
}

// The sums of a row's gradients.
template <class T, int columns>
__device__ column_sums<T, columns> sum_grads(const update_job& job, const wanted_rows& wanted, const term_span& terms,
                                             size_t column) {
    auto total = sum_run<T, columns>(wanted.sums, terms, static_cast<int64_t>(column));
    if (job.scale != 1) {
        for (auto& one : total.at) one *= static_cast<typename sum_of<T>::type>(job.scale);
    }
    return total;
}

// Four lanes hold four words each, of which each needs the one with its own number of everyone: a 4 x 4 transposition.
__device__ inline void exchange(uint32_t (&words)[4], int lane) {
    for (int half = 1; half <= 2; ++half) {
        for (int pair = 0; pair < 2; ++pair) {
            const int low = half == 1 ? 2 * pair : pair;
            const bool upper = (lane & half) != 0;
            const uint32_t received = __shfl_xor_sync(all_lanes, upper ? words[low] : words[low + half], half);
            if (upper) {
                words[low] = received;
            } else {
                words[low + half] = received;
            }
        }
    }
}

// The bits for rounding `columns` columns from `column` on. Where a lane has eight columns, four lanes share the 32
// columns that one set of philox blocks serves, draw two blocks each and exchange the words; so all lanes must call.
template <class T, int columns>
__device__ void draw_words(const stochastic_rounding& rounding, uint32_t tensor, uint32_t row, size_t column,
                           uint32_t (&random)[columns]) {
    using Lanes = column_lane<T>;
    if constexpr (columns == static_cast<int>(word_columns)) {
        const auto lane = static_cast<int>(threadIdx.x % 4);
        const size_t first = column / block_columns * block_columns + 2 * lane;
        random_words<Lanes> even = draw<Lanes>(rounding, tensor, row, first);
        random_words<Lanes> odd = draw<Lanes>(rounding, tensor, row, first + 1);
        exchange(even.word, lane);
        exchange(odd.word, lane);
        for (int of = 0; of < 4; ++of) {
            random[2 * of] = even.word[of];
            random[2 * of + 1] = odd.word[of];
        }
    } else {
        for (int v = 0; v < columns; ++v) {
            const random_words<Lanes> words = draw<Lanes>(rounding, tensor, row, column + v);
            // Registers have no index that only the run tells.
            const size_t number = (column + v) / word_columns % 4;
            random[v] = number == 0   ? words.word[0]
                        : number == 1 ? words.word[1]
                        : number == 2 ? words.word[2]
                                      : words.word[3];
        }
    }
}

// `columns` columns of one row: its gradients, the table and the state. `covered` is false of lanes that have none.
template <class T, update_rule rule, int columns>
struct row_part {
    using Lanes = column_lane<T>;
    using rows = row_lanes<Lanes>;

    const update_job& job;
    uint32_t row;
    size_t column;
    bool covered;
    rows lanes[columns];

    __device__ void load() {
        load_part(job.table, &rows::p);
        if constexpr (has_first<rule>) load_part(job.first, &rows::first);
        if constexpr (has_second<rule>) load_part(job.second, &rows::second);
        if constexpr (rule == update_rule::amsgrad) load_part(job.greatest, &rows::greatest);
    }

    __device__ void store() const {
        store_part<0>(job.table, &rows::p);
        if constexpr (has_first<rule>) store_part<1>(job.first, &rows::first);
        if constexpr (has_second<rule>) store_part<2>(job.second, &rows::second);
        if constexpr (rule == update_rule::amsgrad) store_part<3>(job.greatest, &rows::greatest);
    }

  private:
    __device__ void load_part(const row_block& block, typename Lanes::wide rows::* part) {
        const auto loaded = column_chunk<T, columns>::load(row_at<T>(block, row) + column);
        for (int v = 0; v < columns; ++v) lanes[v].*part = widen(loaded.at[v]);
    }

    template <uint32_t tensor>
    __device__ void store_part(const row_block& block, typename Lanes::wide rows::* part) const {
        column_chunk<T, columns> stored;
        if constexpr (sizeof(T) == 2) {
            if (job.rounding.on) {
                uint32_t random[columns];
                draw_words<T, columns>(job.rounding, tensor, row, column, random);
                for (int v = 0; v < columns; ++v) {
                    stored.at[v] = narrowed<T>(round_stochastically<Lanes>(lanes[v].*part, random[v]));
                }
                if (covered) stored.store(row_at<T>(block, row) + column);
                return;
            }
        }
        for (int v = 0; v < columns; ++v) stored.at[v] = narrowed<T>(lanes[v].*part);
        if (covered) stored.store(row_at<T>(block, row) + column);
    }
};

// For each row of a tile `direct`, which its gradients decide. Eight lanes to a row add up the squares of every eighth
// column in four parts, in the order of row_means.h.
template <class T>
__device__ void divide_by_means(const update_job& job, const wanted_rows& wanted, int tile,
                                found_row<column_lane<T>>* rows) {
    using wide = typename sum_of<T>::type;
    constexpr int lanes = 8;
    constexpr int parts = 4;  // of a lane
    const auto lane = static_cast<int>(threadIdx.x % warp_lanes);
    for (int at = lane / lanes; at < tile; at += warp_lanes / lanes) {
        found_row<column_lane<T>>& mine = rows[at];
        const auto square = [&](size_t column) {
            wide grad = sum_grads<T, 1>(job, wanted, mine.terms, column).at[0];
            if (job.numbers.decay != 0) {
                grad += static_cast<wide>(job.numbers.decay) * widen(row_at<T>(job.table, mine.row)[column]);
            }
            return grad * grad;
        };
        // The first is the one that the next column adds to.
        wide sums[parts] = {};
        wide last = 0;
        const auto dim = static_cast<uint32_t>(job.dim);
        const uint32_t whole = dim / lanes * lanes;
        const uint32_t turns = (dim + lanes * parts - 1) / (lanes * parts) * parts;
#pragma unroll 1
        for (uint32_t turn = 0; turn < turns; ++turn) {
            const uint32_t column = turn * lanes + lane % lanes;
            const wide squared = mine.wanted && column < dim ? square(column) : 0;
            const wide sum = sums[0] + (column < whole ? squared : 0);
            for (int part = 1; part < parts; ++part) sums[part - 1] = sums[part];
            sums[parts - 1] = sum;
            if (column >= whole && column < dim) last = squared;
        }
        auto total = static_cast<double>((sums[0] + sums[2]) + (sums[1] + sums[3]));
        for (int half = lanes / 2; half > 0; half /= 2) total += __shfl_down_sync(all_lanes, total, half, lanes);
        for (int of_lane = 0; of_lane < lanes; ++of_lane) {
            total += static_cast<double>(__shfl_sync(all_lanes, last, of_lane, lanes));
        }
        if (lane % lanes != 0 || !mine.wanted) continue;
        float& of_row = *row_at<float>(job.second, mine.row);
        of_row += static_cast<float>(total / static_cast<double>(job.dim));
        mine.direct = static_cast<wide>(job.numbers.size / (std::sqrt(static_cast<double>(of_row)) + job.numbers.eps));
    }
    __syncwarp();
}

template <class T, update_rule rule, int columns>
__global__ void __launch_bounds__(update_threads, update_blocks_resident<T, rule, columns>)
    update_tiles(update_job job, lane_numbers<column_lane<T>> numbers, wanted_rows wanted, int lanes_log2, int tile) {
    using Lanes = column_lane<T>;
    constexpr bool by_mean = rule == update_rule::rowwise_adagrad;
    constexpr update_rule step_rule = by_mean ? update_rule::sgd : rule;
    if (wanted.bad != nullptr && *wanted.bad != 0) return;
    const auto lane = static_cast<int>(threadIdx.x % warp_lanes);
    const auto warp_of_block = static_cast<int>(threadIdx.x / warp_lanes);
    const size_t width = static_cast<size_t>(columns) << lanes_log2;
    const size_t within = static_cast<size_t>(lane & ((1 << lanes_log2) - 1)) * columns;
    const bool shares_words = sizeof(T) == 2 && job.rounding.on;
    __shared__ found_row<Lanes> rows_of_block[update_warps][warp_lanes];
    found_row<Lanes>* rows = rows_of_block[warp_of_block];

    const int64_t count = wanted.count(job);
    const int64_t warps = static_cast<int64_t>(gridDim.x) * update_warps;
    for (int64_t first = (static_cast<int64_t>(blockIdx.x) * update_warps + warp_of_block) * tile; first < count;
         first += warps * tile) {
        if (first + lane < count) {
            if (lane < tile) look_up<Lanes>(job, wanted, first + lane, rows[lane]);
        } else {
            rows[lane].wanted = false;
        }
        __syncwarp();
        if constexpr (by_mean) divide_by_means<T>(job, wanted, tile, rows);
        for (int at = lane >> lanes_log2; at < tile; at += warp_lanes >> lanes_log2) {
            const found_row<Lanes>& mine = rows[at];
            if (!mine.wanted && !shares_words) continue;
            if constexpr (by_mean) numbers.direct = mine.direct;
            for (size_t begin = 0; begin < job.dim; begin += width) {
                const bool covered = mine.wanted && begin + within < job.dim;
                row_part<T, step_rule, columns> part{job, mine.row, begin + within, covered, {}};
                if (covered) {
                    column_sums<T, columns> grads;
                    if (wanted.have_grads()) grads = sum_grads<T, columns>(job, wanted, mine.terms, part.column);
                    part.load();
                    if (mine.missed) catch_up<Lanes, step_rule>(part.lanes, job.clock, mine.missed);
                    if (wanted.have_grads()) {
                        for (int v = 0; v < columns; ++v) {
                            take_step<Lanes, step_rule>(part.lanes[v], grads.at[v], numbers);
                        }
                    }
                }
                if (covered || shares_words) part.store();
            }
        }
        __syncwarp();  // before the next tile's rows
    }
}

}  // namespace embrow::device
