#include "update/update_launch.cuh"

template void embrow::launch_update<embrow::bfloat16>(const update_job&, const device::wanted_rows&, int64_t,
                                                      cudaStream_t);
