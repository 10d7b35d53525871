// What kernels need of the machine. Compiled by NVRTC it is a GPU; by a host compiler it is
// tests/cuda/host.h, in which the threads of a block take turns.
#pragma once

#include "arguments.h"

#ifdef __CUDACC__

#define DRR_KERNEL extern "C" __global__ void
#define DRR_DEVICE __device__ __forceinline__
#define DRR_UNROLL _Pragma("unroll")
#define DRR_CALLED static __device__ __noinline__

namespace drr {

DRR_DEVICE u32 thread() { return threadIdx.x; }
DRR_DEVICE u32 threads() { return blockDim.x; }
DRR_DEVICE u32 block() { return blockIdx.x; }
DRR_DEVICE u32 blocks() { return gridDim.x; }

// Waits for all threads of the block.
DRR_DEVICE void barrier() { __syncthreads(); }

// The same, and whether it is so for any of them.
DRR_DEVICE bool barrier_any(bool mine) { return __syncthreads_or(mine); }

// The number of who asks, counted from the counter's first value on.
DRR_DEVICE u64 take(u64 *counter) { return atomicAdd(counter, u64(1)); }

// Waits for all threads of the warp, and for what they wrote.
DRR_DEVICE void warp_barrier() { __syncwarp(); }

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

// Two of them: `low` in the lower half.
DRR_DEVICE u32 halves_of_floats(float low, float high) {
    u32 both;
    asm("{\n"
        ".reg .b16 low, high;\n"
        "cvt.rn.f16.f32 low, %1;\n"
        "cvt.rn.f16.f32 high, %2;\n"
        "mov.b32 %0, {low, high};\n"
        "}"
        : "=r"(both)
        : "f"(low), "f"(high));
    return both;
}

#if __CUDA_ARCH__ >= 800
// c += a b for a [16][16] and b [16][8] in 16 bits, c in 32, spread over the warp as the PTX manual
// has it for mma.m16n8k16: lane 4 g + p has rows g and g + 8 of a and c and column g of b, and of
// the other index 2 p and 2 p + 1 (and 8 more).
DRR_DEVICE void multiply_add(float c[4], const u32 a[4], const u32 b[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

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
