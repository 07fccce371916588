// What a kernel on a GPU says of ids outside the table, for the host to raise when it next looks.
#pragma once

#include <cstdint>

namespace embrow {

// The lowest position with an id outside the table, in memory that the device reaches and that belongs to one stream.
// Launches that share a record keep the lowest position among them. With all bits set it says that nothing went wrong.
struct id_fault {
    static constexpr uint64_t none = UINT64_MAX;

    uint64_t position;
    int64_t value;
    int64_t rows;  // of the table
};

}  // namespace embrow
