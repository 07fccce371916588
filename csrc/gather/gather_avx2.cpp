// 32 bytes at a time, asking memory for rows ahead of the one being copied.
//
// Rows drawn from a table larger than the caches are misses that the hardware cannot foresee; the ids name them early.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "common/prefetch.h"
#include "common/variant.h"
#include "gather/gather.h"

namespace embrow {
namespace {

constexpr size_t vector = 32;
constexpr size_t ahead_bytes = 8192;  // about what the core's miss buffers and the second level's queue hold
constexpr size_t most_rows_ahead = 32;

// The last vector overlaps the one before it when `bytes` is no multiple of 32.
EMBROW_TARGET_AVX2 inline void copy_row(std::byte* to, const std::byte* from, size_t bytes) noexcept {
    if (bytes < vector) {
        if (bytes > 0) std::memcpy(to, from, bytes);  // a table of no bytes may have no address
        return;
    }
    size_t done = 0;
    for (; done + 4 * vector <= bytes; done += 4 * vector) {
        const auto* source = reinterpret_cast<const __m256i*>(from + done);
        auto* target = reinterpret_cast<__m256i*>(to + done);
        const __m256i a = _mm256_loadu_si256(source);
        const __m256i b = _mm256_loadu_si256(source + 1);
        const __m256i c = _mm256_loadu_si256(source + 2);
        const __m256i d = _mm256_loadu_si256(source + 3);
        _mm256_storeu_si256(target, a);
        _mm256_storeu_si256(target + 1, b);
        _mm256_storeu_si256(target + 2, c);
        _mm256_storeu_si256(target + 3, d);
    }
    for (; done + vector <= bytes; done += vector) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + done),
                            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + done)));
    }
    if (done < bytes) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + bytes - vector),
                            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + bytes - vector)));
    }
}

static_assert(streamed_unit == vector / 2);

EMBROW_TARGET_AVX2 inline void stream_half(std::byte* to, const std::byte* from) noexcept {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to), _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

// As copy_row but around the caches, of whole units to a place that is one.
EMBROW_TARGET_AVX2 inline void stream_row(std::byte* to, const std::byte* from, size_t bytes) noexcept {
    size_t done = 0;
    if (reinterpret_cast<uintptr_t>(to) % vector != 0) {
        stream_half(to, from);
        done = streamed_unit;
    }
    for (; done + vector <= bytes; done += vector) {
        _mm256_stream_si256(reinterpret_cast<__m256i*>(to + done),
                            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + done)));
    }
    if (done < bytes) stream_half(to + done, from + done);
}

template <bool streams>
EMBROW_TARGET_AVX2 inline void copy(std::byte* to, const std::byte* from, size_t bytes) noexcept {
    if constexpr (streams) {
        stream_row(to, from, bytes);
    } else {
        copy_row(to, from, bytes);
    }
}

// Asks for another row in parts meanwhile.
template <bool streams>
EMBROW_TARGET_AVX2 inline void copy_in_parts(std::byte* to, const std::byte* from, size_t bytes,
                                             uintptr_t next) noexcept {
    size_t done = 0;
    for (; bytes - done >= 2 * part_bytes; done += part_bytes) {
        prefetch_part(next, done, done + part_bytes);
        copy<streams>(to + done, from + done, part_bytes);
    }
    prefetch_part(next, done, bytes);
    copy<streams>(to + done, from + done, bytes - done);
}

template <class Id, bool streams, bool in_parts>
EMBROW_TARGET_AVX2 size_t copy_rows(const gather_job& job, size_t first, size_t last) noexcept {
    const auto* ids = static_cast<const Id*>(job.ids.data);
    const row_table table = job.table;
    const size_t distance = std::clamp<size_t>(ahead_bytes / std::max<size_t>(table.row_bytes, 1), 2, most_rows_ahead);
    const size_t known = std::min(first + distance, last);
    for (size_t i = first; i < known; ++i) prefetch_row(table.address_of(ids[i]), table.row_bytes);
    std::byte* to = job.out + first * table.row_bytes;
    size_t i = first;
    for (; i < last; ++i, to += table.row_bytes) {
        const bool asks = i + distance < last;
        if (asks && !in_parts) prefetch_row(table.address_of(ids[i + distance]), table.row_bytes);
        const int64_t id = ids[i];
        if (id < 0 || id >= table.rows) break;
        const std::byte* from = table.data + id * table.stride_bytes;
        if (asks && in_parts) {
            copy_in_parts<streams>(to, from, table.row_bytes, table.address_of(ids[i + distance]));
        } else {
            copy<streams>(to, from, table.row_bytes);
        }
    }
    if constexpr (streams) _mm_sfence();
    return i;
}

template <class Id>
size_t copy_rows_of(const gather_job& job, size_t first, size_t last) noexcept {
    const bool in_parts = job.table.row_bytes > most_bytes_at_once;
    if (job.streams) {
        return in_parts ? copy_rows<Id, true, true>(job, first, last) : copy_rows<Id, true, false>(job, first, last);
    }
    return in_parts ? copy_rows<Id, false, true>(job, first, last) : copy_rows<Id, false, false>(job, first, last);
}

}  // namespace

size_t gather_copy_avx2(const gather_job& job, size_t first, size_t last) noexcept {
    return job.ids.is_int64 ? copy_rows_of<int64_t>(job, first, last) : copy_rows_of<int32_t>(job, first, last);
}

}  // namespace embrow
#endif
