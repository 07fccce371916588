// Marks arithmetic that the kernels of the CPU and of the device share.
#pragma once

#if defined(__CUDACC__)
#define EMBROW_DEVICE __host__ __device__
#else
#define EMBROW_DEVICE
#endif
