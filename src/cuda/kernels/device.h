// What kernels need of the machine. Compiled by NVRTC it is a GPU; by a host compiler it is
// tests/cuda/host.h, in which the threads of a block take turns.
#pragma once

#include "arguments.h"

#ifdef __CUDACC__

#define DRR_KERNEL extern "C" __global__ void
#define DRR_DEVICE __device__ __forceinline__

namespace drr {

DRR_DEVICE u32 thread() { return threadIdx.x; }
DRR_DEVICE u32 threads() { return blockDim.x; }
DRR_DEVICE u32 block() { return blockIdx.x; }
DRR_DEVICE u32 blocks() { return gridDim.x; }

// Waits for all threads of the block.
DRR_DEVICE void barrier() { __syncthreads(); }

// Memory of the block, as much as the launch gave it.
DRR_DEVICE char *shared_memory() {
    extern __shared__ double4 memory[];
    return reinterpret_cast<char *>(memory);
}

DRR_DEVICE float float_of_half(u16 bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}

// Rounded to nearest, ties to even; 65520 and beyond give infinity.
DRR_DEVICE u16 half_of_double(double value) {
    u16 bits;
    asm("cvt.rn.f16.f64 %0, %1;" : "=h"(bits) : "d"(value));
    return bits;
}

DRR_DEVICE double not_a_number() { return __longlong_as_double(0x7ff8000000000000); }

DRR_DEVICE u32 bits_of(float value) { return __float_as_uint(value); }
DRR_DEVICE float float_of(u32 bits) { return __uint_as_float(bits); }

} // namespace drr

#else

#include "host.h"

#endif

namespace drr {

// The nearest bfloat16, ties to even.
DRR_DEVICE float to_bf16(float x) {
    const u32 bits = bits_of(x);
    if (x != x)
        return x;
    return float_of((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u);
}

} // namespace drr
