#include "vocab/count.h"

#include <algorithm>
#include <memory>

#include "common/threads.h"
#include "vocab/lookup.h"

namespace embrow {
namespace {

// One thread's work: tokens of consecutive rows into a counter of their own.
class row_counter {
  public:
    row_counter(token_counts& counts, const text_options& options) : counts_(counts), reader_(options) {}

    void run(const text_rows& rows, size_t begin, size_t end, first_fault<text_fault>& fault) {
        for (size_t row = begin; row < end; ++row) {
            token_reader::prefetch(rows, row + token_reader::rows_ahead);
            if (auto refused = reader_.read(rows, row, [&](const token_run& run) { take(run); })) {
                fault.report(static_cast<int64_t>(row), std::move(*refused));
                return;
            }
            if (reader_.scratch_full()) flush();
        }
        flush();
    }

  private:
    void take(const token_run& run) {
        batch_.take(run, counts_.tokens(), [&] { add_batch(); });
    }

    void add_batch() {
        counts_.add_batch(batch_.tokens());
        batch_.clear();
    }

    void flush() {
        add_batch();
        reader_.release();
    }

    token_counts& counts_;
    token_reader reader_;
    token_batch batch_;
};

}  // namespace

void count_tokens(token_counts& counts, const text_rows& rows, const text_options& options, int threads,
                  first_fault<text_fault>& fault) {
    // Consecutive rows to each part, parts merged in order: first seen stays first seen however many there are.
    const size_t parts = std::min(static_cast<size_t>(std::max(threads, 1)), rows.size());
    std::vector<std::unique_ptr<token_counts>> counted(parts);
    parallel_for(threads, parts, [&](size_t part) {
        counted[part] = std::make_unique<token_counts>(counts.tokens().seed());
        const auto counter = std::make_unique<row_counter>(*counted[part], options);
        counter->run(rows, rows.size() * part / parts, rows.size() * (part + 1) / parts, fault);
    });
    if (fault) return;
    for (const auto& part : counted) {
        if (counts.tokens().size() == 0) {
            counts = std::move(*part);
        } else {
            counts.merge(*part);
        }
    }
}

}  // namespace embrow
