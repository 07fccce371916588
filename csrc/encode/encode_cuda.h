// text -> ids on a GPU: packed rows of text to a rectangle of ids.
//
//     text -> count_tokens_cuda -> lengths, the longest -> (the host chooses a width) -> encode_padded_cuda -> ids
//
// The tokens are those of str.split(). All memory is the device's, or such that it reaches it. Launches go to the
// caller's stream, allocate nothing and wait for nothing, so that they can be captured in a graph.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "pad/pad.h"
#include "vocab/vocab_cuda.h"

namespace embrow {

inline constexpr int text_tile_bytes = 2048;  // one warp's share of the text

// Row r is bytes[offsets[r]] to bytes[offsets[r + 1]], each of valid UTF-8. `bytes` is aligned to 16, better to 32, and
// can be read up to a multiple of 16. The caller has checked that offsets rise from 0 to `size`.
struct packed_text {
    const char* bytes;
    const int64_t* offsets;  // rows + 1
    int64_t size;
    int64_t rows;  // below 2^31
};

// Rows as options ask for them: cut, between bos and eos. no_id for no bos or eos.
struct row_frame {
    int32_t bos_id;
    int32_t eos_id;
    int64_t max_length;  // ids a row keeps, bos and eos among them; negative: all
    bool truncate_left;
};

// What the host may want to know.
struct encode_facts {
    int64_t longest;  // of the lengths; 0 for no rows
    int64_t unknown;  // the lowest byte of the text at which an unknown token starts; -1 for none
};

// Of the workspace, which is aligned to 16 bytes and carries what the first of the two calls finds to the second.
size_t encode_workspace_bytes(int64_t text_bytes, int64_t rows);

// lengths[r]: the ids of row r before padding. Sets both facts, of which `unknown` is none yet.
void count_tokens_cuda(const packed_text& text, const row_frame& frame, int64_t* lengths, encode_facts* facts,
                       std::byte* workspace, cudaStream_t stream);

// Ids to rows x layout.width at `out`, for a width of at least the longest row's; text, frame, lengths, facts and
// workspace are those of count_tokens_cuda. Unknown tokens get `unk_id`; if that is no_id, the first of them becomes a
// fact, even if its row does not keep it.
template <class Id>
void encode_padded_cuda(const device_table& table, const packed_text& text, const row_frame& frame, int32_t unk_id,
                        const pad_layout<Id>& layout, const int64_t* lengths, encode_facts* facts, Id* out,
                        std::byte* workspace, cudaStream_t stream);

}  // namespace embrow
