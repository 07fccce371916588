// tokens -> their rows, where both lie in a file that python/embrow/vectors/_indexed_file.py describes.
//
// Reads a few bytes for each token and never maps or holds the table, so that memory does not grow with the file.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "vocab/token.h"

namespace embrow {

// A vocab_table's parts (vocab/table.h) in the file `descriptor`; all in bytes of the file, ends excluded.
struct token_file {
    int descriptor;
    hash_seed seed;
    struct part {
        uint64_t begin;
        uint64_t end;
    };
    part index;
    part keys;
    part arena;
};

// ids[i] is the id of token i, or no_id. Throws bad_vectors (vectors.h) where the table cannot be what vocab_table
// writes, and cut_short where the file ends before it.
void find_in_file(const token_file& file, std::span<const std::string_view> tokens, int64_t* ids);

}  // namespace embrow
