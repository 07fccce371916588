#include "vectors/row_file.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <limits>
#include <string>
#include <system_error>

#include <sys/types.h>
#include <unistd.h>

#include "common/threads.h"
#include "vectors/vectors.h"

namespace embrow {
namespace {

constexpr size_t grain = 256;

}  // namespace

size_t read_at(int descriptor, uint64_t begin, size_t size, std::byte* out) {
    size_t done = 0;
    while (done < size) {
        const ssize_t got = pread(descriptor, out + done, size - done, static_cast<off_t>(begin + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw std::system_error(errno, std::generic_category(), "reading vectors");
        if (got == 0) break;
        done += static_cast<size_t>(got);
    }
    return done;
}

void read_rows(int descriptor, uint64_t begin, size_t row_bytes, std::span<const int64_t> rows, std::byte* out,
               int threads) {
    constexpr int64_t none = std::numeric_limits<int64_t>::max();
    std::atomic<int64_t> missing = none;
    parallel_for(threads, task_count(rows.size(), grain), [&](size_t task) {
        const size_t end = std::min(rows.size(), (task + 1) * grain);
        for (size_t i = task * grain; i < end;) {
            // Neighbours are read together.
            size_t next = i + 1;
            while (next < end && rows[next] == rows[next - 1] + 1) ++next;
            const size_t size = (next - i) * row_bytes;
            const size_t got =
                read_at(descriptor, begin + static_cast<uint64_t>(rows[i]) * row_bytes, size, out + i * row_bytes);
            if (got < size) {
                const int64_t row = rows[i] + static_cast<int64_t>(got / row_bytes);
                int64_t seen = missing;
                while (row < seen && !missing.compare_exchange_weak(seen, row)) {
                }
                return;
            }
            i = next;
        }
    });
    if (missing != none) {
        const std::string row = std::to_string(missing);
        throw cut_short("the file was cut short while it was read: row " + row + " is gone, in or past token " + row);
    }
}

}  // namespace embrow
