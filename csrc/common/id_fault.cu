#include "common/id_fault.h"

#include "common/cuda.h"

namespace embrow {

void clear_fault_cuda(id_fault* fault, cudaStream_t stream) {
    EMBROW_CUDA_CHECK(cudaMemsetAsync(fault, 0xff, sizeof(id_fault), stream));
}

id_fault take_fault_cuda(id_fault* fault, cudaStream_t stream) {
    id_fault taken;
    EMBROW_CUDA_CHECK(cudaMemcpyAsync(&taken, fault, sizeof(taken), cudaMemcpyDeviceToHost, stream));
    EMBROW_CUDA_CHECK(cudaStreamSynchronize(stream));
    if (taken.position != id_fault::none) clear_fault_cuda(fault, stream);
    return taken;
}

}  // namespace embrow
