// What the kernels for different GPUs have in common.
#pragma once

#include "arrays.h"

namespace drr {

// Corners of a cell.
constexpr u32 CORNERS = 8;

// Those that are no comparison. Called, since they are long and stand in many places.
DRR_CALLED float curve(u32 activation, float x) {
    switch (activation) {
    case ELU:
        return x > 0.0f ? x : expm1f(x);
    case SILU:
        return x / (1.0f + expf(-x));
    case GELU:
        return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    case SIGMOID:
        return 1.0f / (1.0f + expf(-x));
    case TANH:
        return tanhf(x);
    default:
        return sinf(x);
    }
}

DRR_DEVICE float activate(u32 activation, float x) {
    if (activation == RELU)
        return x < 0.0f ? 0.0f : x;
    return activation == IDENTITY ? x : curve(activation, x);
}

// Value `k` of point `i`, from what the model gives for it.
DRR_DEVICE void write_value(const Query &q, u64 i, u32 k, double value, bool is_nan) {
    if (q.frame.is_physical) {
        const Value to = at<Value>(q.model, q.model.values)[k];
        value = value * to.range + to.min;
        value = to.is_log ? exp(value) : value;
    }
    write(place(q.results, q.points, i, k), q.results.scalar, is_nan ? not_a_number() : value);
}

} // namespace drr
