// The plain loops.
#include "gather/pool_bags.h"

namespace embrow {
namespace {

struct serial_sum {
    template <class T, class Rows>
    static void sum(const Rows& rows, size_t divisor, T* out, size_t dim) noexcept {
        sum_rows_serial(rows, divisor, out, 0, dim);
    }
};

}  // namespace

void pool_bags_serial(const pool_job& job, size_t first, size_t last) noexcept {
    pool_with<serial_sum>(job, first, last);
}

}  // namespace embrow
