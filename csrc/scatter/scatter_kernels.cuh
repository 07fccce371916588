// Device code of the scatter; scatter_cuda.h is the contract. A row is written once, by the threads that sum its run,
// each thread some columns of four runs.
//
// Atomic addition cuts runs into pieces of 32 terms. A first piece is found by its run; any later one by the 32 terms
// among which it begins, which no other piece but a first one does:
//
//     terms     0                 32                64                96
//     runs      a a a a b b ...................................b b b b c ...
//     pieces    a0      b0                b1                b2         c0
//     found by  a       b                 32..63            64..95     c
#pragma once

#include <cstdint>

#include "common/run_sums.cuh"

namespace embrow::device {

constexpr int runs_in_flight = 4;

template <class T, int columns>
__device__ void write_row(const run_sums& sums, T* out, uint32_t run, int64_t column, column_sums<T, columns> total,
                          uint32_t divisor) {
    using sum = typename sum_of<T>::type;
    column_chunk<T, columns> row;
    // Adding to zero turns -0 into 0.
#pragma unroll
    for (int j = 0; j < columns; ++j) row.at[j] = narrowed<T>((sum{0} + total.at[j]) / static_cast<sum>(divisor));
    row.stream(out + __ldg(sums.runs.rows + run) * static_cast<int64_t>(sums.grads.dim) + column);
}

template <class T, int columns>
__global__ void __launch_bounds__(sum_threads, sum_blocks_resident)
    scatter_runs(run_sums sums, T* out, int64_t row_chunks, bool mean) {
    const int64_t thread = static_cast<int64_t>(blockIdx.x) * sum_threads + threadIdx.x;
    const uint32_t count = __ldg(sums.runs.count);
    if (thread / row_chunks * runs_in_flight >= count) return;
    const auto first = static_cast<uint32_t>(thread / row_chunks * runs_in_flight);
    const uint32_t end = min(first + runs_in_flight, count);
    const int64_t column = thread % row_chunks * columns;

    // Most rows are seen once: those of all four are under way together.
    term_columns<T, columns> terms[runs_in_flight];
    bool single[runs_in_flight];
#pragma unroll
    for (int i = 0; i < runs_in_flight; ++i) {
        const term_span run = first + i < end ? span_of_run(sums.runs, first + i) : term_span{0, 0};
        single[i] = run.size() == 1;
        if (single[i]) terms[i] = load_term<T, columns>(sums, run.begin, column);
    }
#pragma unroll
    for (int i = 0; i < runs_in_flight; ++i) {
        column_sums<T, columns> total;
        total.add(terms[i]);
        if (single[i]) write_row(sums, out, first + i, column, total, 1);
    }
#pragma unroll 1
    for (uint32_t at = first; at < end; ++at) {
        const term_span run = span_of_run(sums.runs, at);
        if (run.size() == 1) continue;
        write_row(sums, out, at, column, sum_run<T, columns>(sums, run, column), mean ? run.size() : 1);
    }
}

constexpr uint32_t piece_terms = 32;

// `part` counts the runs there can be, then the windows of 32 terms.
__device__ inline term_span piece_at(const row_runs& runs, int64_t part, uint32_t& run) {
    const uint32_t count = __ldg(runs.count);
    term_span piece{0, 0};
    if (part < static_cast<int64_t>(runs.most)) {
        if (part >= count) return piece;
        run = static_cast<uint32_t>(part);
        piece = span_of_run(runs, run);
    } else {
        const auto window = static_cast<uint32_t>(part - static_cast<int64_t>(runs.most) + 1) * piece_terms;
        if (count == 0 || __ldg(runs.sorted + window) != __ldg(runs.sorted + window - 1)) return piece;
        run = run_of_term(runs, window);
        piece = span_of_run(runs, run);
        piece.begin += (window - piece.begin + piece_terms - 1) / piece_terms * piece_terms;
    }
    piece.end = min(piece.end, piece.begin + piece_terms);
    return piece;
}

template <class T, int columns>
__global__ void __launch_bounds__(sum_threads, sum_blocks_resident)
    scatter_pieces(run_sums sums, T* out, int64_t parts, int64_t row_chunks, bool mean) {
    const int64_t thread = static_cast<int64_t>(blockIdx.x) * sum_threads + threadIdx.x;
    const int64_t part = thread / row_chunks;
    if (part >= parts) return;
    uint32_t run = 0;
    const term_span piece = piece_at(sums.runs, part, run);
    if (piece.begin >= piece.end) return;
    const int64_t column = thread % row_chunks * columns;

    column_sums<T, columns> total;
    add_terms(sums, piece, column, total);
    const uint32_t size = span_of_run(sums.runs, run).size();
    if (mean) {
#pragma unroll
        for (int j = 0; j < columns; ++j) total.at[j] /= static_cast<T>(size);
    }
    T* to = out + __ldg(sums.runs.rows + run) * static_cast<int64_t>(sums.grads.dim) + column;
    if (size <= piece_terms) {
        __builtin_bit_cast(column_chunk<T, columns>, total).stream(to);
    } else {
#pragma unroll
        for (int j = 0; j < columns; ++j) atomicAdd(to + j, total.at[j]);
    }
}

}  // namespace embrow::device
