// The kernels as a library of the host: launches, and the layouts of their arguments.
#include "../../src/cuda/kernels/gradient.cu"
#include "../../src/cuda/kernels/portable.cu"
#include "../../src/cuda/kernels/radiance.cu"
#include "../../src/cuda/kernels/tensor.cu"

#include <cstddef>

// By the kernel of this number: 0 is the portable one, others those for tensor cores.
extern "C" void drr_host_query(unsigned kernel, const drr::Query *query, unsigned blocks,
                               unsigned threads, size_t bytes) {
    using Launch = void (*)(const drr::Query &, u32, u32, std::size_t);
    const Launch launches[] = {
        drr::host::launch<const drr::Query, drr_query>,
        drr::host::launch<const drr::Query, drr_tensor_64>,
        drr::host::launch<const drr::Query, drr_tensor_128>,
        drr::host::launch<const drr::Query, drr_tensor_256>,
    };
    launches[kernel](*query, blocks, threads, bytes);
}

extern "C" void drr_host_gradient(const drr::Gradient *gradient, unsigned blocks, unsigned threads,
                                  size_t bytes) {
    drr::host::launch<const drr::Gradient, drr_gradient>(*gradient, blocks, threads, bytes);
}

extern "C" void drr_host_radiance(const drr::Radiance *radiance, unsigned blocks, unsigned threads,
                                  size_t bytes) {
    drr::host::launch<const drr::Radiance, drr_radiance>(*radiance, blocks, threads, bytes);
}

extern "C" void drr_host_render(const drr::Render *render, unsigned blocks, unsigned threads,
                                size_t bytes) {
    drr::host::launch<const drr::Render, drr_render>(*render, blocks, threads, bytes);
}

extern "C" void drr_host_bind(const drr::Bind *bind, unsigned threads) {
    drr::host::launch<const drr::Bind, drr_bind>(*bind, 1, threads, 0);
}

#define LAYOUT(type, last)                                                                         \
    { sizeof(drr::type), offsetof(drr::type, last) }

// Size and place of the last field of each struct, in the order of arguments.h.
extern "C" const size_t drr_host_layouts[][2] = {
    LAYOUT(Grid, role),
    LAYOUT(Layer, step),
    LAYOUT(Value, is_log),
    LAYOUT(Range, slack),
    LAYOUT(Model, grids_change),
    LAYOUT(Axis, limit),
    LAYOUT(Frame, evaluates_parameters),
    LAYOUT(Points, scalar),
    LAYOUT(Table, is_given),
    LAYOUT(Results, components),
    LAYOUT(Binding, parameters),
    LAYOUT(Tensor, stride),
    LAYOUT(Query, tile),
    LAYOUT(Gradient, has_input_slopes),
    LAYOUT(Field, harmonics),
    LAYOUT(Radiance, directions),
    LAYOUT(Rays, along_axis),
    LAYOUT(Render, has_depth),
    LAYOUT(Bind, is_nan),
};
