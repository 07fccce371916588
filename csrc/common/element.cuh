// The element types on the device: to the wider type that each is summed in, and back, with the bits of element.h.
#pragma once

#include <cuda_fp16.h>

#include "common/element.h"

namespace embrow::device {

__device__ inline float widen(float value) {
    return value;
}
__device__ inline double widen(double value) {
    return value;
}
__device__ inline float widen(bfloat16 value) {
    return __uint_as_float(static_cast<unsigned>(value.bits) << 16);
}
__device__ inline float widen(float16 value) {
    return __half2float(__ushort_as_half(value.bits));
}

template <class T>
__device__ T narrowed(typename sum_of<T>::type value) {
    return value;
}
template <>
__device__ inline bfloat16 narrowed<bfloat16>(float value) {
    const unsigned wide = __float_as_uint(value);
    if ((wide & 0x7fffffffU) > 0x7f800000U) return {0x7fc0};
    return {static_cast<uint16_t>((wide + 0x7fffU + ((wide >> 16) & 1U)) >> 16)};
}
template <>
__device__ inline float16 narrowed<float16>(float value) {
    return {__half_as_ushort(__float2half_rn(value))};
}

}  // namespace embrow::device
