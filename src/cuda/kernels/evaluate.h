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

// What layer `n` takes an input for, if there is such a layer.
DRR_DEVICE float rounded(const Model &model, u32 n, float x) {
    if (n >= model.layer_count)
        return x;
    const Layer &layer = at<Layer>(model, model.layers)[n];
    if (layer.precision == BF16)
        return to_bf16(x);
    if (layer.precision == STEPS)
        return layer.low +
               layer.step * fminf(fmaxf(rintf((x - layer.low) / layer.step), 0.0f), 255.0f);
    return x;
}

// The derivative of 1 / (1 + exp(-x)), without the cancellation of s (1 - s).
DRR_DEVICE float bell(float x) {
    const float e = expf(-fabsf(x)), sum = 1.0f + e;
    return e / (sum * sum);
}

// Derivative of an activation at `x`; of ReLU at 0: 0.
DRR_CALLED float steepness(u32 activation, float x) {
    // Where what `x` is multiplied by is gone, so that infinity times 0 does not come up.
    const float near = fminf(fmaxf(x, -100.0f), 100.0f);
    switch (activation) {
    case IDENTITY:
        return 1.0f;
    case RELU:
        return x > 0.0f ? 1.0f : 0.0f;
    case ELU:
        return expf(fminf(x, 0.0f));
    case SILU:
        return 1.0f / (1.0f + expf(-x)) + near * bell(near);
    case GELU:
        return 0.5f * erfcf(-0.70710678f * x) + near * 0.39894228f * expf(-0.5f * near * near);
    case SIGMOID:
        return bell(x);
    case TANH:
        return 4.0f * bell(2.0f * x);
    default:
        return cosf(x);
    }
}

// Value `k` in its own units, from what the model gives for it.
DRR_DEVICE double denormalize(const Model &model, u32 k, double value) {
    const Value to = at<Value>(model, model.values)[k];
    value = value * to.range + to.min;
    return to.is_log ? exp(value) : value;
}

// Value `k` of point `i`, from what the model gives for it.
DRR_DEVICE void write_value(const Query &q, u64 i, u32 k, double value, bool is_nan) {
    if (q.frame.is_physical)
        value = denormalize(q.model, k, value);
    write(place(q.results, q.points, i, k, 0), q.results.scalar, is_nan ? not_a_number() : value);
}

} // namespace drr
