// The kernels as a library of the host: launches, and the layouts of their arguments.
#include "../../src/cuda/kernels/portable.cu"

#include <cstddef>

extern "C" void drr_host_query(const drr::Query *query, unsigned blocks, unsigned threads,
                               size_t bytes) {
    drr::host::launch<const drr::Query, drr_query>(*query, blocks, threads, bytes);
}

extern "C" void drr_host_bind(const drr::Bind *bind, unsigned threads) {
    drr::host::launch<const drr::Bind, drr_bind>(*bind, 1, threads, 0);
}

#define LAYOUT(type, last)                                                                         \
    { sizeof(drr::type), offsetof(drr::type, last) }

// Size and place of the last field of each struct, in the order of arguments.h.
extern "C" const size_t drr_host_layouts[][2] = {
    LAYOUT(Grid, scalar),
    LAYOUT(Layer, step),
    LAYOUT(Value, is_log),
    LAYOUT(Range, slack),
    LAYOUT(Model, widest),
    LAYOUT(Axis, limit),
    LAYOUT(Frame, evaluates_parameters),
    LAYOUT(Points, scalar),
    LAYOUT(Table, is_given),
    LAYOUT(Results, scalar),
    LAYOUT(Binding, is_nan),
    LAYOUT(Query, tile),
    LAYOUT(Bind, is_nan),
};
