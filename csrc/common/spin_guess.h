// Whether a helper is to spin after a job: whether the next job came soon after others of the same kind.
//
// A helper that spins is there at once, but keeps its core from whoever else wants it. Where PyTorch's operators follow
// a lookup, their own threads do, and each operator waits for them; the next lookup follows an update at once.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

namespace embrow {

// Each helper has its own.
class spin_guess {
  public:
    // After every so many jobs that are thought not to be worth it, one tries again.
    static constexpr unsigned jobs_a_try = 16;

    bool is_worth(const void* kind) noexcept {
        entry& of_kind = find(kind);
        return of_kind.misses < most_misses || ++of_kind.passed % jobs_a_try == 0;
    }

    // What became of it: whether a job came while the helper spun. Returns whether it is still thought to be worth it.
    bool tell(const void* kind, bool came) noexcept {
        entry& of_kind = find(kind);
        of_kind.misses = came ? 0 : std::min(of_kind.misses + 1, most_misses);
        return of_kind.misses < most_misses;
    }

  private:
    static constexpr int most_misses = 2;
    struct entry {
        const void* kind = nullptr;
        int misses = 0;
        unsigned passed = 0;
    };

    // More kinds than there is room for share the last place.
    entry& find(const void* kind) noexcept {
        entry* found = std::find_if(entries_.begin(), entries_.end() - 1,
                                    [&](const entry& of) { return of.kind == kind || of.kind == nullptr; });
        found->kind = kind;
        return *found;
    }

    std::array<entry, 64> entries_{};
};

}  // namespace embrow
