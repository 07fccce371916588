#include "vocab/count.h"

#include <algorithm>
#include <memory>

#include "common/threads.h"

namespace embrow {
namespace {

// One thread's work: tokens of consecutive rows into a counter of their own.
class row_counter {
  public:
    row_counter(token_counts& counts, const text_options& options) : counts_(counts), reader_(options) {}

    void run(const text_rows& rows, size_t begin, size_t end, first_fault<text_fault>& fault) {
        for (size_t row = begin; row < end; ++row) {
            token_reader::prefetch(rows, row + token_reader::rows_ahead);
            auto refused = reader_.read(
                rows, row, [&](const char* text, size_t size, const readable& around) { push(text, size, around); });
            if (!refused && too_long_) refused = text_fault{text_fault::kind::token_too_long, 0, {}};
            if (refused) {
                fault.report(static_cast<int64_t>(row), *refused);
                return;
            }
            if (reader_.scratch_full()) flush();
        }
        flush();
    }

  private:
    static constexpr size_t batch = 64;

    void push(const char* text, size_t size, const readable& around) {
        if (size > max_token_bytes) [[unlikely]] {
            too_long_ = true;
            return;
        }
        if (pending_ == batch) add_pending();
        tokens_[pending_] = hash_token(text, size, around, counts_.tokens().seed());
        counts_.tokens().prefetch(tokens_[pending_].hash);
        ++pending_;
    }

    void add_pending() {
        for (size_t i = 0; i < pending_; ++i) counts_.add(tokens_[i], 1);
        pending_ = 0;
    }

    void flush() {
        add_pending();
        reader_.release();
    }

    token_counts& counts_;
    token_reader reader_;
    hashed_token tokens_[batch];
    size_t pending_ = 0;
    bool too_long_ = false;
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
    for (const auto& part : counted) counts.merge(*part);
}

}  // namespace embrow
