// text -> counts: every row's tokens into a counter.
#pragma once

#include "common/fault.h"
#include "text/rows.h"
#include "text/tokens.h"
#include "vocab/counter.h"

namespace embrow {

// Adds the tokens of all rows to `counts`, which for any number of threads ends up as if one had added them in order.
// If a row has a fault, the first one's is kept and `counts` is as before.
void count_tokens(token_counts& counts, const text_rows& rows, const text_options& options, int threads,
                  first_fault<text_fault>& fault);

}  // namespace embrow
