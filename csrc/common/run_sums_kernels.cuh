// What is summed before kernels call sum_run: the whole blocks of long runs, then their super blocks.
#pragma once

#include "common/ids.cuh"
#include "common/run_sums.cuh"

namespace embrow::device {

template <class T, int columns>
__global__ void __launch_bounds__(sum_threads, sum_blocks_resident)
    sum_blocks(run_sums sums, int64_t slots, int64_t row_chunks) {
    const int64_t slot = thread_index() / row_chunks;
    if (slot >= slots) return;
    const term_span block = part_at<block_terms>(sums.runs, static_cast<uint32_t>(slot));
    if (block.size() == 0) return;
    const int64_t column = thread_index() % row_chunks * columns;
    column_sums<T, columns> total;
    add_terms(sums, block, column, total);
    total.as_part().store(part_in_slot<T>(sums, static_cast<uint32_t>(slot), column));
}

template <class T, int columns>
__global__ void __launch_bounds__(sum_threads, sum_blocks_resident)
    sum_super_blocks(run_sums sums, int64_t slots, int64_t row_chunks) {
    const int64_t slot = thread_index() / row_chunks;
    if (slot >= slots) return;
    const term_span super_block = part_at<super_block_terms>(sums.runs, static_cast<uint32_t>(slot));
    if (super_block.size() == 0) return;
    const int64_t column = thread_index() % row_chunks * columns;
    const uint32_t first = super_block.begin / block_terms;
    column_sums<T, columns> total;
    add_parts(sums, first, block_terms, 1, column, total);
    total.as_part().store(part_in_slot<T>(sums, first, column));
}

}  // namespace embrow::device
