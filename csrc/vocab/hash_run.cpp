#include "vocab/hash_run.h"

#include "common/variant.h"

namespace embrow {

hash_kernel* choose_hash() noexcept {
    static constexpr candidate<hash_kernel> kernels[] = {
#if defined(__x86_64__)
        {variant::avx2, hash_run_avx2},
#endif
        {variant::serial, hash_run_serial},
    };
    return choose(kernels);
}

}  // namespace embrow
