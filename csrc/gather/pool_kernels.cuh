// Device code of the pooling; pool_cuda.h is the contract, pool_cuda.cu chooses the kernels.
//
// A group of 8, 16 or 32 lanes pools a bag, each lane one chunk of columns of 2 to 16 bytes; rows of more than 32
// chunks are cut into segments, a warp to each. The lanes read one id each, hand them round, and have four rows under
// way:
//
//     lane     0   1   2   3   4   5  6  7     80 bytes, 5 chunks of 16: 8 lanes
//     ids      a   b   c   d   e   f  g  h
//     rows     a0  a1  a2  a3  a4  -  -  -     lane 0 adds up a0 + b0 + c0 + d0 + ...
//              b0  b1  b2  b3  b4  -  -  -
//
// So that a long bag is not one group's work, its whole blocks of 64 ids are pooled beforehand, each by a group of its
// own, and each 64 of them once more. Both kinds of parts lie in slots, found without counting the parts before: block
// j of a bag that begins at id b has slot b / 64 + j. Only whole blocks have one, so no two bags share any:
//
//     ids      0        100                                 400
//     bags     | short  | long: 4 whole blocks, 44 ids      | ...
//     slots    0        1 = 100 / 64    2    3    4    (5)  6 = 400 / 64
#pragma once

#include <cstdint>
#include <type_traits>

#include "common/element.cuh"
#include "common/ids.cuh"
#include "common/row_terms.h"
#include "gather/bags.cuh"
#include "gather/gather_kernels.cuh"
#include "gather/pool_cuda.h"

namespace embrow::device {

constexpr int block_ids = block_terms;
constexpr int super_block_ids = super_block_terms;
constexpr int64_t long_bag_ids = 4 * block_ids;  // from here on parts are pooled beforehand
constexpr int least_lanes_log2 = 3;              // a group reads ids by whole sectors
constexpr int pool_blocks_resident = 5;          // or more: allows 96 registers, with which nothing is spilled

// How groups of lanes are laid over rows to be made, `works` of them.
struct group_layout {
    int64_t works;
    int64_t segments;  // of a row
    int64_t segment_chunks;
    int64_t row_chunks;
    int lanes_log2;
};

// One group of lanes and what is its own.
struct lane_group {
    int64_t work;
    int64_t chunk;  // of the row; -1: none
    int lanes;
    int lane;         // of the group
    int first_lane;   // of the warp
    bool given;       // whether there is such a work
    bool is_speaker;  // whether to say what does not depend on columns; all lanes of one of the segments

    __device__ explicit lane_group(const group_layout& layout)
        : lanes(1 << layout.lanes_log2), lane(static_cast<int>(threadIdx.x) & (lanes - 1)) {
        const auto warp_lane = static_cast<int>(threadIdx.x % warp_lanes);
        const int64_t index = (warp_index() * warp_lanes + warp_lane) >> layout.lanes_log2;
        const int64_t segment = index % layout.segments;
        const int64_t at = segment * layout.segment_chunks + lane;
        work = index / layout.segments;
        chunk = lane < layout.segment_chunks && at < layout.row_chunks ? at : -1;
        first_lane = warp_lane - lane;
        given = work < layout.works;
        is_speaker = segment == 0;
    }
};

struct bag_span {
    int64_t begin;
    int64_t end;
};

// The ids of a bag. Where its offsets cannot be there are none, and the offset at fault is recorded unless `fault` is
// null. That an offset passes the ids is left to the last one, if no later one falls.
__device__ inline bag_span span_of(const bag_list& bags, int64_t bag, id_fault* fault) {
    const int64_t begin = bag_begin(bags, bag);
    const auto ids = static_cast<int64_t>(bags.ids);
    if (bags.offsets.data == nullptr) return {begin, begin + static_cast<int64_t>(bags.width)};
    const int64_t last = static_cast<int64_t>(bags.offsets.count) - 1;
    const int64_t end = bag < last ? bag_begin(bags, bag + 1) : ids;
    if (begin >= 0 && begin <= end && end <= ids && (bag > 0 || begin == 0)) return {begin, end};
    if (fault != nullptr) {
        if (bag == 0 && begin != 0) {
            record_fault(fault, bags.offsets, ids, 0);
        } else if (end < begin) {
            record_fault(fault, bags.offsets, ids, min(bag + 1, last));
        } else if (end > ids && bag + 1 == last) {
            record_fault(fault, bags.offsets, ids, last);
        }
    }
    return {0, 0};
}

// What ids tell besides their rows.
struct alignas(8) id_tally {
    int32_t kept;   // how many are in the table and not padding
    int32_t first;  // the first of those; -1: none

    __device__ void add(const id_tally& next) {
        kept += next.kept;
        if (first < 0) first = next.first;
    }
};

// Pooled parts, one in each slot.
template <class Value>
struct part_table {
    int32_t* begins;  // the id that each begins with; -1: there is none
    Value* values;
    int32_t* winners;  // for maxima
    id_tally* tallies;
    int64_t slots;
    int64_t columns;  // such that rows are multiples of 16 bytes; those behind the dim mean nothing
};

template <class Value, int columns>
struct column_values {
    Value at[columns];

    // In accesses of up to 16 bytes, which `row` and `column` are multiples of.
    static constexpr size_t access = sizeof(Value) * columns < 16 ? sizeof(Value) * columns : 16;
    using unit = std::conditional_t<access == 16, uint4, std::conditional_t<access == 8, unsigned long long, unsigned>>;
    struct units {
        unit at[sizeof(Value) * columns / access];
    };

    __device__ static column_values load(const Value* row, int64_t column) {
        return __builtin_bit_cast(column_values, *reinterpret_cast<const units*>(row + column));
    }
    __device__ void store(Value* row, int64_t column) const {
        *reinterpret_cast<units*>(row + column) = __builtin_bit_cast(units, *this);
    }
};

// The columns of a lane, added up in the three levels of block_terms.
template <class Value, int columns>
struct pooled_sums {
    using value_type = Value;
    using row = column_values<Value, columns>;
    using part = row;
    static constexpr int size = columns;
    static constexpr bool are_maxima = false;

    row block = {};
    row super_block = {};
    row total = {};

    __device__ void add_row(const row& next, Value weight, int32_t, bool) {
#pragma unroll
        for (int j = 0; j < columns; ++j) block.at[j] += weight * next.at[j];
    }
    __device__ void end_block() {
#pragma unroll
        for (int j = 0; j < columns; ++j) {
            super_block.at[j] += block.at[j];
            block.at[j] = 0;
        }
    }
    __device__ void add_block(const part& next) {
#pragma unroll
        for (int j = 0; j < columns; ++j) super_block.at[j] += next.at[j];
    }
    __device__ void end_super_block() {
#pragma unroll
        for (int j = 0; j < columns; ++j) {
            total.at[j] += super_block.at[j];
            super_block.at[j] = 0;
        }
    }

    __device__ static part read(const part_table<Value>& table, int64_t slot, int64_t column) {
        return part::load(table.values + slot * table.columns, column);
    }
    __device__ void write(const part_table<Value>& table, int64_t slot, int64_t column) const {
        total.store(table.values + slot * table.columns, column);
    }
};

// The same for maxima and the ids whose rows they are from. A NaN counts only where it comes first of its bag, which
// the parts of a bag do not know: theirs are the maxima of what is not NaN.
template <class Value, int columns>
struct pooled_maxima {
    using value_type = Value;
    using row = column_values<Value, columns>;
    struct part {
        row values;
        column_values<int32_t, columns> winners;
    };
    static constexpr int size = columns;
    static constexpr bool are_maxima = true;

    row total = {};
    column_values<int32_t, columns> winners;

    __device__ pooled_maxima() {
#pragma unroll
        for (int j = 0; j < columns; ++j) winners.at[j] = -1;
    }

    __device__ void add_row(const row& next, Value, int32_t id, bool is_whole) {
#pragma unroll
        for (int j = 0; j < columns; ++j) {
            const Value value = next.at[j];
            if (value > total.at[j] || (winners.at[j] < 0 && (is_whole || value == value))) set(j, value, id);
        }
    }
    __device__ void end_block() {}
    __device__ void add_block(const part& next) {
#pragma unroll
        for (int j = 0; j < columns; ++j) {
            const bool more = winners.at[j] < 0 || next.values.at[j] > total.at[j];
            if (next.winners.at[j] >= 0 && more) set(j, next.values.at[j], next.winners.at[j]);
        }
    }
    __device__ void end_super_block() {}
    // Of a bag that was pooled by parts.
    __device__ void add_first_row(const row& first, int32_t id) {
#pragma unroll
        for (int j = 0; j < columns; ++j) {
            if (first.at[j] != first.at[j]) set(j, first.at[j], id);
        }
    }

    __device__ static part read(const part_table<Value>& table, int64_t slot, int64_t column) {
        return {row::load(table.values + slot * table.columns, column),
                column_values<int32_t, columns>::load(table.winners + slot * table.columns, column)};
    }
    __device__ void write(const part_table<Value>& table, int64_t slot, int64_t column) const {
        total.store(table.values + slot * table.columns, column);
        winners.store(table.winners + slot * table.columns, column);
    }

    __device__ void set(int j, Value value, int32_t id) {
        total.at[j] = value;
        winners.at[j] = id;
    }
};

template <class Chunk>
__device__ Chunk load_chunk(const row_table& table, int32_t id, int64_t chunk) {
    return __ldg(reinterpret_cast<const Chunk*>(table.data + id * table.stride_bytes) + chunk);
}

template <class T, class Chunk>
struct chunk_elements {
    static constexpr int count = sizeof(Chunk) / sizeof(T);
    T at[count];
};

template <class T, class Chunk>
__device__ auto widen_chunk(Chunk chunk) {
    const auto elements = __builtin_bit_cast(chunk_elements<T, Chunk>, chunk);
    column_values<typename sum_of<T>::type, elements.count> wide;
#pragma unroll
    for (int j = 0; j < elements.count; ++j) wide.at[j] = widen(elements.at[j]);
    return wide;
}

template <class T, class Chunk>
__device__ Chunk narrow_chunk(const typename sum_of<T>::type* wide) {
    chunk_elements<T, Chunk> elements;
#pragma unroll
    for (int j = 0; j < elements.count; ++j) elements.at[j] = narrowed<T>(wide[j]);
    return __builtin_bit_cast(Chunk, elements);
}

// Adds the rows of up to `long_bag_ids` ids, the whole bag or what its parts leave of it.
template <class T, class Chunk, class Pooled>
__device__ void add_rows(const pool_job& job, const bag_span& span, bool is_whole, const lane_group& group,
                         id_fault* fault, Pooled& pooled, id_tally& tally) {
    using value = typename Pooled::value_type;
    const auto* weights = reinterpret_cast<const T*>(job.weights);
    auto longest = static_cast<int>(span.end - span.begin);  // in this warp
    for (int other = warp_lanes / 2; other >= group.lanes; other /= 2) {
        longest = max(longest, __shfl_xor_sync(all_lanes, longest, other));
    }

    int32_t id;
    value weight;
    const auto look_up = [&](int at) {
        const int64_t position = span.begin + at + group.lane;
        const bool is_there = position < span.end;
        const int64_t checked = checked_id(job.ids, job.table.rows, fault,
                                           is_there ? position : static_cast<int64_t>(job.ids.count), group.is_speaker);
        id = checked == job.padding_idx ? -1 : static_cast<int32_t>(checked);
        weight = weights != nullptr && is_there ? widen(weights[position]) : value{1};
    };
    look_up(0);
    for (int at = 0; at < longest; at += group.lanes) {
        const int32_t ids_here = id;
        const value weights_here = weight;
        const int steps = min(group.lanes, longest - at);
        for (int step = 0; step < steps; step += rows_in_flight) {
            int32_t ids[rows_in_flight];
            Chunk chunks[rows_in_flight];
#pragma unroll
            for (int row = 0; row < rows_in_flight; ++row) {
                ids[row] = __shfl_sync(all_lanes, ids_here, group.first_lane + step + row);
                chunks[row] =
                    ids[row] >= 0 && group.chunk >= 0 ? load_chunk<Chunk>(job.table, ids[row], group.chunk) : Chunk{};
            }
            if (step == 0) look_up(at + group.lanes);  // while the rows are under way
#pragma unroll
            for (int row = 0; row < rows_in_flight; ++row) {
                const value factor = __shfl_sync(all_lanes, weights_here, group.first_lane + step + row);
                if (ids[row] < 0) continue;
                pooled.add_row(widen_chunk<T>(chunks[row]), factor, ids[row], is_whole);
                tally.add({1, ids[row]});
            }
        }
        if ((at + group.lanes) % block_ids == 0) pooled.end_block();
    }
    pooled.end_block();
}

// Adds the parts in `count` slots.
template <class Pooled>
__device__ void add_parts(const part_table<typename Pooled::value_type>& parts, bool are_super_blocks, int64_t slot,
                          int64_t count, int64_t chunk, Pooled& pooled, id_tally& tally) {
    // Wide ones would take too many registers.
    constexpr int parts_in_flight = sizeof(typename Pooled::part) <= 32 ? rows_in_flight : rows_in_flight / 2;
    for (int64_t at = 0; at < count; at += parts_in_flight) {
        typename Pooled::part read[parts_in_flight];
        id_tally tallies[parts_in_flight];
#pragma unroll
        for (int row = 0; row < parts_in_flight; ++row) {
            if (at + row >= count) continue;
            tallies[row] = parts.tallies[slot + at + row];
            if (chunk >= 0) read[row] = Pooled::read(parts, slot + at + row, chunk * Pooled::size);
        }
#pragma unroll
        for (int row = 0; row < parts_in_flight; ++row) {
            if (at + row >= count) continue;
            tally.add(tallies[row]);
            if (chunk >= 0) pooled.add_block(read[row]);
            if (are_super_blocks) pooled.end_super_block();
        }
    }
}

template <class Pooled>
__device__ void write_part(const Pooled& pooled, const id_tally& tally, const lane_group& group,
                           const part_table<typename Pooled::value_type>& to) {
    if (group.chunk >= 0) pooled.write(to, group.work, group.chunk * Pooled::size);
    if (group.is_speaker && group.lane == 0) to.tallies[group.work] = tally;
}

template <int columns>
__device__ void write_winners(const int32_t* winners, int64_t* out) {
    if constexpr (columns == 1) {
        __stcs(reinterpret_cast<long long*>(out), static_cast<long long>(winners[0]));
    } else {
#pragma unroll
        for (int j = 0; j < columns; j += 2)
            __stcs(reinterpret_cast<longlong2*>(out + j), {winners[j], winners[j + 1]});
    }
}

// Bags -> where the parts of long ones begin. Bags overlap where offsets fall; then a slot is for one of them.
__global__ void __launch_bounds__(block_threads, blocks_resident)
    find_parts(bag_list bags, int32_t* block_begins, int32_t* super_block_begins) {
    const auto lane = static_cast<int>(threadIdx.x % warp_lanes);
    const int64_t bag = warp_index() * warp_lanes + lane;
    bag_span span{0, 0};
    if (bag < static_cast<int64_t>(bags.count)) span = span_of(bags, bag, nullptr);
    unsigned long_bags = __ballot_sync(all_lanes, span.end - span.begin >= long_bag_ids);
    for (; long_bags != 0; long_bags &= long_bags - 1) {
        const int owner = __ffs(static_cast<int>(long_bags)) - 1;
        const auto begin = static_cast<int32_t>(__shfl_sync(all_lanes, span.begin, owner));
        const auto length = static_cast<int32_t>(__shfl_sync(all_lanes, span.end, owner)) - begin;
        for (int part = lane; part < length / block_ids; part += warp_lanes) {
            block_begins[begin / block_ids + part] = begin + part * block_ids;
        }
        for (int part = lane; part < length / super_block_ids; part += warp_lanes) {
            super_block_begins[begin / super_block_ids + part] = begin + part * super_block_ids;
        }
    }
}

// ids -> the blocks of long bags.
template <class T, class Chunk, class Pooled>
__global__ void __launch_bounds__(block_threads, pool_blocks_resident)
    pool_blocks(pool_job job, part_table<typename Pooled::value_type> blocks, group_layout layout, id_fault* fault) {
    const lane_group group(layout);
    const int32_t begin = group.given ? blocks.begins[group.work] : -1;
    if (!__any_sync(all_lanes, begin >= 0)) return;
    Pooled pooled;
    id_tally tally{0, -1};
    const bag_span span = begin >= 0 ? bag_span{begin, begin + block_ids} : bag_span{0, 0};
    add_rows<T, Chunk>(job, span, false, group, fault, pooled, tally);
    pooled.end_super_block();
    if (begin >= 0) write_part(pooled, tally, group, blocks);
}

// Blocks -> the super blocks of long bags.
template <class Pooled>
__global__ void __launch_bounds__(block_threads, pool_blocks_resident)
    pool_super_blocks(part_table<typename Pooled::value_type> blocks,
                      part_table<typename Pooled::value_type> super_blocks, group_layout layout) {
    const lane_group group(layout);
    const int32_t begin = group.given ? super_blocks.begins[group.work] : -1;
    if (begin < 0) return;
    Pooled pooled;
    id_tally tally{0, -1};
    add_parts(blocks, false, begin / block_ids, block_ids, group.chunk, pooled, tally);
    pooled.end_super_block();
    write_part(pooled, tally, group, super_blocks);
}

// ids, and the parts of long bags -> one row per bag.
template <class T, class Chunk, class Pooled>
__global__ void __launch_bounds__(block_threads, pool_blocks_resident)
    pool_bags(pool_job job, part_table<typename Pooled::value_type> blocks,
              part_table<typename Pooled::value_type> super_blocks, group_layout layout, bag_faults* faults) {
    const lane_group group(layout);
    if (!__any_sync(all_lanes, group.given)) return;
    bag_span span{0, 0};
    if (group.given) span = span_of(job.bags, group.work, group.is_speaker ? &faults->offsets : nullptr);
    const int64_t length = span.end - span.begin;
    const bool is_long = length >= long_bag_ids;
    Pooled pooled;
    id_tally tally{0, -1};
    if (is_long) {
        const int64_t count = length / block_ids;
        const int64_t super_count = length / super_block_ids;
        const int64_t in_super_blocks = super_count * block_ids;
        add_parts(super_blocks, true, span.begin / super_block_ids, super_count, group.chunk, pooled, tally);
        add_parts(blocks, false, span.begin / block_ids + in_super_blocks, count - in_super_blocks, group.chunk, pooled,
                  tally);
        span.begin += count * block_ids;
    }
    add_rows<T, Chunk>(job, span, !is_long, group, &faults->ids, pooled, tally);
    pooled.end_super_block();
    if (!group.given || group.chunk < 0) return;

    constexpr int columns = Pooled::size;
    if constexpr (Pooled::are_maxima) {
        if (is_long && tally.first >= 0) {
            pooled.add_first_row(widen_chunk<T>(load_chunk<Chunk>(job.table, tally.first, group.chunk)), tally.first);
        }
        if (job.winners != nullptr) {
            const int64_t first = (group.work * layout.row_chunks + group.chunk) * columns;
            write_winners<columns>(pooled.winners.at, job.winners + first);
        }
    } else if (job.mode == pooling::mean) {
        const auto kept = static_cast<typename Pooled::value_type>(max(tally.kept, 1));
#pragma unroll
        for (int j = 0; j < columns; ++j) pooled.total.at[j] /= kept;
    }
    __stcs(reinterpret_cast<Chunk*>(job.out) + group.work * layout.row_chunks + group.chunk,
           narrow_chunk<T, Chunk>(pooled.total.at));
}

}  // namespace embrow::device
