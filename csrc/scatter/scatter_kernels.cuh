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

#include "common/ids.cuh"
#include "common/run_sums.cuh"

namespace embrow::device {

constexpr int runs_in_flight = 4;

template <class T, int columns>
__device__ void write_row(const run_sums& sums, T* out, uint32_t row, int64_t column, column_sums<T, columns> total,
                          uint32_t divisor) {
    using sum = typename sum_of<T>::type;
    column_chunk<T, columns> chunk;
    // Adding to zero turns -0 into 0.
#pragma unroll
    for (int j = 0; j < columns; ++j) chunk.at[j] = narrowed<T>((sum{0} + total.at[j]) / static_cast<sum>(divisor));
    chunk.stream(out + row * static_cast<int64_t>(sums.grads.dim) + column);
}

template <class T, int columns>
__global__ void __launch_bounds__(sum_threads, sum_blocks_resident)
    scatter_runs(run_sums sums, T* out, int64_t row_chunks, bool mean) {
    const row_runs& runs = sums.runs;
    const int64_t thread = thread_index();
    const uint32_t count = __ldg(runs.count);
    if (thread / row_chunks * runs_in_flight >= count) return;
    const auto first = static_cast<uint32_t>(thread / row_chunks * runs_in_flight);
    const int64_t column = thread % row_chunks * columns;
    const auto rows = column_chunk<uint32_t, runs_in_flight>::load_constant(runs.rows + first);
    const auto begins = column_chunk<uint32_t, runs_in_flight>::load_constant(runs.begins + first);

    // Most rows are seen once: those of all four are under way together.
    term_columns<T, columns> terms[runs_in_flight];
    unsigned single = 0;
    unsigned longer = 0;
#pragma unroll
    for (int i = 0; i < runs_in_flight; ++i) {
        if (first + i >= count) continue;
        const uint32_t end = i + 1 < runs_in_flight ? begins.at[i + 1] : __ldg(runs.begins + first + runs_in_flight);
        (end - begins.at[i] == 1 ? single : longer) |= 1U << i;
        if (end - begins.at[i] == 1) terms[i] = load_term<T, columns>(sums, begins.at[i], column);
    }
#pragma unroll
    for (int i = 0; i < runs_in_flight; ++i) {
        if ((single >> i & 1U) == 0) continue;
        column_sums<T, columns> total;
        total.add(terms[i]);
        write_row(sums, out, rows.at[i], column, total, 1);
    }
    for (; longer != 0; longer &= longer - 1) {
        const uint32_t run = first + static_cast<uint32_t>(__ffs(static_cast<int>(longer))) - 1;
        const term_span span = span_of_run(runs, run);
        const column_sums<T, columns> total = sum_run<T, columns>(sums, span, column);
        write_row(sums, out, __ldg(runs.rows + run), column, total, mean ? span.size() : 1);
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
    const int64_t thread = thread_index();
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
