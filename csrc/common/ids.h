// Ids as they lie in an array of the caller's, and the one among them that names no row.
#pragma once

#include <cstddef>
#include <cstdint>

namespace embrow {

struct id_list {
    const void* data;
    size_t count;
    bool is_int64;  // else int32

    int64_t operator[](size_t position) const noexcept {
        return is_int64 ? static_cast<const int64_t*>(data)[position] : static_cast<const int32_t*>(data)[position];
    }

    id_list part(size_t begin, size_t end) const noexcept {
        const size_t id_bytes = is_int64 ? sizeof(int64_t) : sizeof(int32_t);
        return {static_cast<const std::byte*>(data) + begin * id_bytes, end - begin, is_int64};
    }
};

struct bad_id {
    size_t position;
    int64_t value;
};

}  // namespace embrow
