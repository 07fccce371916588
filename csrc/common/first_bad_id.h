// Many threads -> the first id outside the table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/fault.h"
#include "common/ids.h"

namespace embrow {

class first_bad_id {
  public:
    void report(size_t position, int64_t id) noexcept { fault_.report(static_cast<int64_t>(position), id); }

    std::optional<bad_id> found() const noexcept {
        if (!fault_) return std::nullopt;
        return bad_id{static_cast<size_t>(fault_.position()), fault_.detail()};
    }

  private:
    first_fault<int64_t> fault_;
};

}  // namespace embrow
