// From the caller's points and parameters to normalised ones, and back to the caller's results.
#pragma once

#include "device.h"

namespace drr {

template <class T> DRR_DEVICE const T *at(const Model &model, u64 offset) {
    return reinterpret_cast<const T *>(model.base + offset);
}

// Numbers at addresses of any alignment are moved byte by byte.
DRR_CALLED void move_bytes(u64 to, u64 from, u32 count) {
    for (u32 n = 0; n < count; n++)
        reinterpret_cast<char *>(to)[n] = reinterpret_cast<const char *>(from)[n];
}

template <class T> DRR_DEVICE T load(u64 address) {
    if (address % sizeof(T) == 0)
        return *reinterpret_cast<const T *>(address);
    T value;
    move_bytes(reinterpret_cast<u64>(&value), address, sizeof(T));
    return value;
}

template <class T> DRR_DEVICE void store(u64 address, T value) {
    if (address % sizeof(T) == 0)
        *reinterpret_cast<T *>(address) = value;
    else
        move_bytes(address, reinterpret_cast<u64>(&value), sizeof(T));
}

DRR_DEVICE double read(u64 address, u32 scalar) {
    return scalar == F64 ? load<double>(address) : double(load<float>(address));
}

DRR_DEVICE void write(u64 address, u32 scalar, double value) {
    if (scalar == F64)
        store<double>(address, value);
    else if (scalar == F32)
        store<float>(address, float(value));
    else
        store<u16>(address, half_of_double(value));
}

// Coordinate `axis` of point `i`, in the caller's units.
DRR_DEVICE double coordinate(const Points &points, u64 i, u32 axis) {
    if (!points.is_lattice)
        return read(points.axes[axis] + u64(i64(i) * points.strides[axis]), points.scalar);
    const u64 n = points.first + i, row = n / points.lattice[0];
    const u64 index = axis == 0   ? n % points.lattice[0]
                      : axis == 1 ? row % points.lattice[1]
                                  : row / points.lattice[1];
    return points.origin[axis] + double(index) * points.spacing[axis];
}

// From -1 to 1 along an axis.
DRR_DEVICE double normalized(const Axis &axis, double x) {
    return 2.0 * ((x - axis.min) / axis.range) - 1.0;
}

// A normalised coordinate, and whether it is one that gives no value; then it is harmless.
DRR_DEVICE double normalize(const Frame &frame, u32 axis, double x, bool &is_nan) {
    const Axis &a = frame.axes[axis];
    const double t = normalized(a, x);
    is_nan |= t != t || (fabs(t) > a.limit && !frame.evaluates_outside);
    return t != t ? 0.0 : t;
}

// A parameter of point `i`, from 0 to 1 where it is inside, and whether it is one that gives no
// value.
DRR_DEVICE double parameter(const Query &q, u64 i, u32 n, bool &is_nan) {
    const u64 address =
        q.table.data + u64(i64(i) * q.table.row_stride + i64(n) * q.table.column_stride);
    const Range range =
        q.frame.is_physical ? at<Range>(q.model, q.model.ranges)[n] : Range{0.0, 1.0, 1e-6};
    const double t = (read(address, q.table.scalar) - range.min) / range.range;
    const bool is_outside = !(t >= -range.slack && t <= 1.0 + range.slack);
    is_nan |= t != t || (is_outside && !q.frame.evaluates_parameters);
    return t != t ? 0.0 : t;
}

// Address of number (`k`, `c`) of point `i`: of values, `c` is 0.
DRR_DEVICE u64 place(const Results &results, const Points &points, u64 i, u32 k, u32 c) {
    i64 offset = i64(i) * results.strides[0];
    if (results.is_lattice) {
        const u64 row = i / points.lattice[0];
        offset = i64(i % points.lattice[0]) * results.strides[0] +
                 i64(row % points.lattice[1]) * results.strides[1] +
                 i64(row / points.lattice[1]) * results.strides[2];
    }
    const i64 strided = i64(k) * results.value_stride + i64(c) * results.component_stride;
    const u64 first = results.is_separate ? results.separate[k * results.components + c]
                                          : results.data + u64(strided);
    return first + u64(offset);
}

// The vertices on both sides of a normalised position, and their weights.
struct Bracket {
    u32 lower, upper;
    float weights[2];
};

// Vertex i of n stands at -1 + 2 i / (n - 1). Positions beyond the ends count as the ends.
DRR_DEVICE Bracket border(double x, u32 size) {
    const double last = double(size - 1);
    // One vertex is constant, even at infinity: fmax takes the number, not the NaN.
    const double p = fmin(fmax((x + 1.0) * 0.5 * last, 0.0), last);
    const u32 lower = u32(p);
    const float fraction = float(p - double(lower));
    return {lower, lower + 1 < size ? lower + 1 : size - 1, {1.0f - fraction, fraction}};
}

// Vertex i of n stands at i / (n - 1) on a parameter, beyond whose ends the ends count.
DRR_DEVICE Bracket between(double t, u32 size) {
    const double last = double(size - 1);
    const double p = fmin(fmax(t * last, 0.0), last);
    const u32 lower = u32(p);
    const float fraction = float(p - double(lower));
    return {lower, lower + 1 < size ? lower + 1 : size - 1, {1.0f - fraction, fraction}};
}

// What a vertex' index along dimension `d` of a grid contributes to its hash.
DRR_DEVICE u32 hash(u32 d, u32 index) {
    return index * (d == 0 ? 1u : d == 1 ? 2654435761u : 805459861u);
}

// Vertices beyond the ends weigh nothing.
DRR_DEVICE Bracket fading(double x, u32 size) {
    if (size == 1)
        return border(x, size);
    const double last = double(size - 1);
    const double p = fmin(fmax((x + 1.0) * 0.5 * last, -1.0), last + 1.0);
    const double lower = floor(p), upper = lower + 1.0;
    const float fraction = float(p - lower);
    const bool has_lower = lower >= 0.0 && lower <= last, has_upper = upper >= 0.0 && upper <= last;
    return {has_lower ? u32(lower) : 0,
            has_upper ? u32(upper) : 0,
            {has_lower ? 1.0f - fraction : 0.0f, has_upper ? fraction : 0.0f}};
}

} // namespace drr
