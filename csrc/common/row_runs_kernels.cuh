// Device code of the row runs, around CUB's sort and selection; row_runs.h is the contract.
//
//     ids -> (row, position) -> sorted -> where rows begin -> runs
#pragma once

#include <cstdint>

#include "common/ids.cuh"

namespace embrow::device {

constexpr int run_threads = 256;

// Besides the arrays.
struct run_counts {
    uint32_t starts;  // runs, those of padding and bad ids counted as one more
    uint32_t runs;
    uint32_t bad;
};

__global__ void __launch_bounds__(run_threads)
    make_terms(id_list ids, int64_t rows, int64_t padding_idx, id_fault* fault, uint32_t* term_rows,
               uint32_t* positions, run_counts* counts) {
    const int64_t position = thread_index();
    const int64_t id = checked_id(ids, rows, fault, position, true);
    if (position >= static_cast<int64_t>(ids.count)) return;
    if (id < 0) counts->bad = 1;
    term_rows[position] = static_cast<uint32_t>(id < 0 || id == padding_idx ? rows : id);
    positions[position] = static_cast<uint32_t>(position);
}

struct starts_run {
    const uint32_t* sorted;
    __device__ bool operator()(uint32_t at) const { return at == 0 || sorted[at] != sorted[at - 1]; }
};

// One thread for each run there can be.
__global__ void __launch_bounds__(run_threads) name_runs(const uint32_t* sorted, uint32_t terms, uint32_t table_rows,
                                                         uint32_t* begins, uint32_t* rows, run_counts* counts) {
    const int64_t run = thread_index();
    const uint32_t starts = counts->starts;
    const bool has_rest = sorted[terms - 1] == table_rows;
    const uint32_t runs = has_rest ? starts - 1 : starts;
    if (run < runs) rows[run] = sorted[begins[run]];
    if (run != 0) return;
    if (!has_rest) begins[runs] = terms;
    counts->runs = counts->bad != 0 ? 0 : runs;
}

}  // namespace embrow::device
