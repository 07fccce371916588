// Device code: the sum of a run of gradients, a few columns at a time; run_sums.h says what is launched before.
//
// A thread sums as many columns of a run as one access moves; neighboring threads take neighboring columns, so a warp
// reads whole rows, or runs of them, whatever the dim:
//
//     dim 20, 4 columns to a thread     thread  0 1 2 3 4 | 5 6 7 8 9 | ...
//                                               run 0     | run 1     | ...
//
// The whole blocks of long runs have been summed before, each into a slot that is found without counting the blocks in
// front of it: block j of a run that begins at term b has slot b / 64 + j. Only whole blocks have one, so no two runs
// share any. Of 64 blocks that make a super block the first one's slot then holds the sum of all:
//
//     terms    0        100                                 400
//     runs     | ...    | long: 4 whole blocks, 44 terms    | ...
//     slots             1 = 100 / 64    2    3    4    (5)  6 = 400 / 64
#pragma once

#include <cstdint>

#include "common/element.cuh"
#include "common/row_terms.h"
#include "common/run_sums.h"

namespace embrow::device {

constexpr int sum_threads = 128;        // small, so that few runs still reach many multiprocessors
constexpr int sum_blocks_resident = 5;  // or more: allows 96 registers, with which nothing is spilled
constexpr int terms_in_flight = 4;

template <int bytes>
struct word_of {
    using type = uint4;
};
template <>
struct word_of<8> {
    using type = uint2;
};
template <>
struct word_of<4> {
    using type = unsigned;
};
template <>
struct word_of<2> {
    using type = unsigned short;
};

// Neighboring columns, which are loaded and stored in words of up to 16 bytes.
template <class T, int columns>
struct column_chunk {
    using word = typename word_of<sizeof(T) * columns>::type;
    static constexpr int words = sizeof(T) * columns / sizeof(word);
    struct word_list {
        word at[words];
    };

    T at[columns];

    __device__ static column_chunk in(const word_list& list) { return __builtin_bit_cast(column_chunk, list); }
    __device__ static column_chunk load(const void* from) {
        word_list list;
#pragma unroll
        for (int i = 0; i < words; ++i) list.at[i] = static_cast<const word*>(from)[i];
        return in(list);
    }
    // From memory that no thread writes while the kernel runs.
    __device__ static column_chunk load_constant(const void* from) {
        word_list list;
#pragma unroll
        for (int i = 0; i < words; ++i) list.at[i] = __ldg(static_cast<const word*>(from) + i);
        return in(list);
    }
    __device__ void store(void* to) const {
        const auto list = __builtin_bit_cast(word_list, *this);
#pragma unroll
        for (int i = 0; i < words; ++i) static_cast<word*>(to)[i] = list.at[i];
    }
    // To memory that is not read again soon.
    __device__ void stream(void* to) const {
        const auto list = __builtin_bit_cast(word_list, *this);
#pragma unroll
        for (int i = 0; i < words; ++i) __stcs(static_cast<word*>(to) + i, list.at[i]);
    }
};

template <class T, int columns>
struct term_columns {
    column_chunk<T, columns> chunk;
    typename sum_of<T>::type weight;
};

template <class T, int columns>
struct column_sums {
    using sum = typename sum_of<T>::type;
    using part = column_chunk<sum, columns>;

    sum at[columns] = {};

    __device__ void add(const term_columns<T, columns>& term) {
#pragma unroll
        for (int j = 0; j < columns; ++j) at[j] += term.weight * widen(term.chunk.at[j]);
    }
    __device__ void add(const part& other) {
#pragma unroll
        for (int j = 0; j < columns; ++j) at[j] += other.at[j];
    }
    __device__ part as_part() const { return __builtin_bit_cast(part, *this); }
};

// Sorted terms [begin, end).
struct term_span {
    uint32_t begin;
    uint32_t end;

    __device__ uint32_t size() const { return end - begin; }
};

__device__ inline term_span span_of_run(const row_runs& runs, uint32_t run) {
    return {__ldg(runs.begins + run), __ldg(runs.begins + run + 1)};
}

// The run that `term` belongs to, or the last in front of it; there is at least one run.
__device__ inline uint32_t run_of_term(const row_runs& runs, uint32_t term) {
    uint32_t first = 0;
    for (uint32_t among = __ldg(runs.count); among > 1;) {
        const uint32_t half = among / 2;
        if (__ldg(runs.begins + first + half) <= term) first += half;
        among -= half;
    }
    return first;
}

// The whole part of `size` terms of a long run whose slot this is; empty if there is none. It would hold the last term
// of those whose number divided by `size` is `slot`, and half a part on to one side, which most often tells enough.
template <uint32_t size>
__device__ term_span part_at(const row_runs& runs, uint32_t slot) {
    const uint32_t last = slot * size + (size - 1);
    const uint32_t row = __ldg(runs.sorted + last);
    const bool reaches_back = __ldg(runs.sorted + last - size / 2) == row;
    const bool reaches_on = last + size / 2 < runs.terms && __ldg(runs.sorted + last + size / 2) == row;
    if (!(reaches_back || reaches_on) || __ldg(runs.count) == 0) return {0, 0};
    const term_span run = span_of_run(runs, run_of_term(runs, last));
    const uint32_t begin = run.begin + (slot - run.begin / size) * size;
    const bool is_part = run.size() > block_terms && begin + size <= run.end;
    return is_part ? term_span{begin, begin + size} : term_span{0, 0};
}

template <class T, int columns>
__device__ term_columns<T, columns> load_term(const run_sums& sums, uint32_t term, int64_t column) {
    using sum = typename sum_of<T>::type;
    const row_gradients& grads = sums.grads;
    uint64_t row = __ldg(sums.runs.positions + term);
    sum weight = 1;
    if (grads.sources != nullptr) {
        const gradient_source source = grads.sources[row];
        weight = static_cast<sum>(source.weight);
        row = source.row;
    }
    const std::byte* from =
        grads.data + static_cast<int64_t>(row) * grads.stride_bytes + column * static_cast<int64_t>(sizeof(T));
    return {column_chunk<T, columns>::load_constant(from), weight};
}

template <class T, int columns>
__device__ void add_terms(const run_sums& sums, term_span span, int64_t column, column_sums<T, columns>& total) {
    for (uint32_t at = span.begin; at < span.end; at += terms_in_flight) {
        term_columns<T, columns> terms[terms_in_flight];
#pragma unroll
        for (int i = 0; i < terms_in_flight; ++i) {
            if (at + i < span.end) terms[i] = load_term<T, columns>(sums, at + i, column);
        }
#pragma unroll
        for (int i = 0; i < terms_in_flight; ++i) {
            if (at + i < span.end) total.add(terms[i]);
        }
    }
}

// Columns of what is in a slot.
template <class T>
__device__ typename sum_of<T>::type* part_in_slot(const run_sums& sums, uint32_t slot, int64_t column) {
    return static_cast<typename sum_of<T>::type*>(sums.parts) + slot * static_cast<int64_t>(sums.grads.dim) + column;
}

// Adds what is in `count` slots, `step` apart.
template <class T, int columns>
__device__ void add_parts(const run_sums& sums, uint32_t slot, uint32_t count, uint32_t step, int64_t column,
                          column_sums<T, columns>& total) {
    using part = typename column_sums<T, columns>::part;
    constexpr int in_flight = sizeof(part) > 16 ? 2 : 4;
    const auto* from = part_in_slot<T>(sums, slot, column);
    const int64_t stride = step * static_cast<int64_t>(sums.grads.dim);
    for (uint32_t at = 0; at < count; at += in_flight, from += in_flight * stride) {
        part parts[in_flight];
#pragma unroll
        for (int i = 0; i < in_flight; ++i) {
            if (at + i < count) parts[i] = part::load(from + i * stride);
        }
#pragma unroll
        for (int i = 0; i < in_flight; ++i) {
            if (at + i < count) total.add(parts[i]);
        }
    }
}

// The sum of a run, columns from `column` on. A single gradient stays as it is, so that -0 does.
template <class T, int columns>
__device__ column_sums<T, columns> sum_run(const run_sums& sums, term_span run, int64_t column) {
    column_sums<T, columns> total;
    if (run.size() == 1) {
#pragma unroll
        for (int j = 0; j < columns; ++j) total.at[j] = -total.at[j];
    }
    const uint32_t blocks = run.size() > block_terms ? run.size() / block_terms : 0;
    add_terms(sums, {run.begin + blocks * static_cast<uint32_t>(block_terms), run.end}, column, total);
    if (blocks == 0) return total;

    const uint32_t in_supers = blocks - blocks % block_terms;
    const uint32_t slot = run.begin / block_terms;
    column_sums<T, columns> of_blocks;
    add_parts(sums, slot + in_supers, blocks - in_supers, 1, column, of_blocks);
    of_blocks.add(total.as_part());
    column_sums<T, columns> of_supers;
    add_parts(sums, slot, in_supers / block_terms, block_terms, column, of_supers);
    of_supers.add(of_blocks.as_part());
    return of_supers;
}

}  // namespace embrow::device
