// An id outside the table -> what the caller is told, whichever device found it.
#include "gather/gather.h"

namespace embrow {

std::string bad_id_message(const bad_id& bad, int64_t rows) {
    std::string message = "index out of range in self: position " + std::to_string(bad.position) + " of the ids is " +
                          std::to_string(bad.value) + ", ";
    if (rows == 0) return message + "the table has no rows";
    return message + "the table has rows 0 to " + std::to_string(rows - 1);
}

std::string bad_bag_id_message(const bad_id& bad, int64_t rows) {
    // PyTorch has one text or the other, by dtype, mode and padding.
    const std::string value = std::to_string(bad.value);
    return "Index " + std::to_string(bad.position) + " of input takes value " + value +
           " which is not in the valid range [0, " + std::to_string(rows) +
           "): Expected idx >= 0 && idx < num_embeddings but found idx to be " + value;
}

}  // namespace embrow
