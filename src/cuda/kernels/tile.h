// What 32-bit kernels have in common: a block has a tile of points at a time, whose hidden values
// stay in shared memory. Any model, as long as its widest layer fits there.
//
// Shared memory holds `x[k * tile + i]`, value k of point i: threads that have neighbouring outputs
// read the same eight points at once, and neighbouring weights.
#pragma once

#include "arrays.h"
#include "evaluate.h"

namespace drr {

// Points that a thread has in its registers.
constexpr u32 POINTS = 8;

// The parts of shared memory; `tile_bytes` of src/cuda/resident.rs counts them.
struct Memory {
    double *positions;   // [3][tile]
    u64 *starts;         // [CORNERS][tile]: number of the first value of a corner's row
    float *weights;      // [CORNERS][tile]
    u32 *is_nan;         // [tile]
    float *front, *back; // [widest][tile]
    char *end;
};

DRR_DEVICE Memory memory_of(const Query &q) {
    char *next = shared_memory();
    const auto take = [&next](u64 bytes) {
        char *part = next;
        next += bytes;
        return part;
    };
    Memory m;
    m.positions = reinterpret_cast<double *>(take(3 * q.tile * sizeof(double)));
    m.starts = reinterpret_cast<u64 *>(take(CORNERS * q.tile * sizeof(u64)));
    m.front = reinterpret_cast<float *>(take(u64(q.model.widest) * q.tile * sizeof(float)));
    m.back = reinterpret_cast<float *>(take(u64(q.model.widest) * q.tile * sizeof(float)));
    m.weights = reinterpret_cast<float *>(take(CORNERS * q.tile * sizeof(float)));
    m.is_nan = reinterpret_cast<u32 *>(take(q.tile * sizeof(u32)));
    m.end = next;
    return m;
}

DRR_DEVICE void swap(Memory &m) {
    float *front = m.front;
    m.front = m.back;
    m.back = front;
}

DRR_DEVICE float feature(const Model &model, const Grid &grid, u64 start, u32 c) {
    const u64 n = start + c;
    if (grid.scalar == F32)
        return at<float>(model, grid.data)[n];
    if (grid.scalar == F16)
        return float_of_half(at<u16>(model, grid.data)[n]);
    return at<float>(model, grid.zero)[c] +
           at<float>(model, grid.scale)[c] * float(at<signed char>(model, grid.data)[n]);
}

// Splits the corners of point `i`, of which there are `count`, along dimension `d` of a grid.
// Starts count rows, or are hashes of vertices until `to_numbers`.
DRR_DEVICE void split(const Grid &grid, const Memory &m, u32 tile, u32 i, u32 d, u32 count,
                      u64 stride, u32 low, u32 high, float low_weight, float high_weight) {
    const u64 below = grid.entries ? hash(d, low) : low * stride;
    const u64 above = grid.entries ? hash(d, high) : high * stride;
    for (u32 c = 0; c < count; c++) {
        const u32 lower = c * tile + i, upper = (count + c) * tile + i;
        const u64 start = m.starts[lower];
        m.starts[upper] = grid.entries ? start ^ above : start + above;
        m.starts[lower] = grid.entries ? start ^ below : start + below;
        m.weights[upper] = m.weights[lower] * high_weight;
        m.weights[lower] *= low_weight;
    }
}

// From rows or hashes to numbers of values.
DRR_DEVICE void to_numbers(const Grid &grid, const Memory &m, u32 tile, u32 i, u32 count) {
    for (u32 c = 0; c < count; c++) {
        u64 &start = m.starts[c * tile + i];
        start = (grid.entries ? start & (grid.entries - 1) : start) * grid.row;
    }
}

// Corners of point `i` in a grid; `along` gives the bracket on an axis of some size.
template <class Along>
DRR_DEVICE void find_corners(const Grid &grid, const Memory &m, u32 tile, u32 i,
                             const Along &along) {
    u32 count = 1;
    m.starts[i] = 0;
    m.weights[i] = 1.0f;
    u64 stride = 1;
    for (u32 d = 0; d < grid.dims; d++) {
        const Bracket b = along(grid.axes[d], grid.sizes[d]);
        split(grid, m, tile, i, d, count, stride, b.lower, b.upper, b.weights[0], b.weights[1]);
        count *= 2;
        stride *= grid.sizes[d];
    }
    to_numbers(grid, m, tile, i, count);
}

// A grid's interpolated feature `c` at point `i`.
DRR_DEVICE float interpolate(const Model &model, const Grid &grid, const Memory &m, u32 tile, u32 i,
                             u32 c) {
    const u32 corners = 1u << grid.dims;
    float sum = 0.0f;
    for (u32 k = 0; k < corners; k++)
        sum += m.weights[k * tile + i] * feature(model, grid, m.starts[k * tile + i], c);
    return sum;
}

// Adds a grid's interpolated features to the input vectors, or what they are the last factor of;
// products are in `m.back` until then.
DRR_DEVICE void add_features(const Model &model, const Grid &grid, const Memory &m, u32 tile) {
    for (u32 n = thread(); n < grid.channels * tile; n += threads()) {
        const u32 c = n % grid.channels, i = n / grid.channels;
        float sum = interpolate(model, grid, m, tile, i, c);
        float &product = m.back[c * tile + i];
        if (grid.role == BETWEEN || grid.role == LAST)
            sum *= product;
        if (grid.role == ALONE || grid.role == LAST)
            m.front[(grid.offset + c) * tile + i] += sum;
        else
            product = sum;
    }
}

// For values, nothing has to be known of how they came about.
struct KeepNothing {
    DRR_DEVICE void operator()(u32, u32, float, float) const {}
};

// Point `i` of the tile that begins with `first`; those beyond the last one are like it.
DRR_DEVICE u64 in_tile(const Query &q, u64 first, u32 i) {
    return first + i < q.count ? first + i : q.count - 1;
}

// Where the points from `first` on are, and which give no value.
DRR_DEVICE void locate(const Query &q, const Memory &m, u64 first) {
    const bool has_table = q.table.is_given;
    for (u32 i = thread(); i < q.tile; i += threads()) {
        const u64 point = in_tile(q, first, i);
        bool is_nan = !has_table && *reinterpret_cast<const u32 *>(q.binding.is_nan) != 0;
        for (u32 axis = 0; axis < q.model.dims; axis++)
            m.positions[axis * q.tile + i] =
                normalize(q.frame, axis, coordinate(q.points, point, axis), is_nan);
        for (u32 n = 0; has_table && n < q.model.parameters; n++)
            parameter(q, point, n, is_nan);
        m.is_nan[i] = is_nan;
    }
}

// The complete input vectors of the points from `first` on, whose places are known to the threads
// that have them. `keep` is given the place of each number, and what it was before and after its
// activation.
template <class Keep>
DRR_DEVICE void gather(const Query &q, const Memory &m, u64 first, u32 width, const Keep &keep) {
    const Model &model = q.model;
    const u32 tile = q.tile;
    const bool has_table = q.table.is_given;
    const float *starts = has_table ? at<float>(model, model.input_bias)
                                    : reinterpret_cast<const float *>(q.binding.inputs);
    for (u32 n = thread(); n < width * tile; n += threads())
        m.front[n] = starts[n / tile];
    const double *bound = reinterpret_cast<const double *>(q.binding.parameters);
    // No barrier: the threads that find corners are those that wrote the positions.
    for (u32 g = 0; g < model.grid_count + (has_table ? model.own_count : 0); g++) {
        const Grid grid = at<Grid>(model, model.grids)[g];
        for (u32 i = thread(); i < tile; i += threads())
            find_corners(grid, m, tile, i, [&, i](u32 axis, u32 size) {
                if (axis >= model.dims) {
                    bool ignored = false;
                    const u32 n = axis - model.dims;
                    return between(has_table ? parameter(q, in_tile(q, first, i), n, ignored)
                                             : bound[n],
                                   size);
                }
                const double x = m.positions[axis * tile + i];
                return q.frame.fades ? fading(x, size) : border(x, size);
            });
        barrier();
        add_features(model, grid, m, tile);
        barrier();
    }
    for (u32 l = 0; has_table && l < model.line_count; l++) {
        const Grid line = at<Grid>(model, model.lines)[l];
        for (u32 i = thread(); i < tile; i += threads())
            find_corners(line, m, tile, i, [&q, first, i](u32 n, u32 size) {
                bool ignored = false;
                return border(2.0 * parameter(q, in_tile(q, first, i), n, ignored) - 1.0, size);
            });
        barrier();
        add_features(model, line, m, tile);
        barrier();
    }
    for (u32 n = thread(); n < width * tile; n += threads()) {
        const float x = activate(model.activation, m.front[n]);
        keep(0, n, m.front[n], x);
        // What no grid reaches is not rounded: it can be in the bias instead.
        m.front[n] = n / tile < model.spatial ? rounded(model, 0, x) : x;
    }
    barrier();
}

// Layer `l`, from `m.front` to `m.back`, which then change places.
template <class Keep>
DRR_DEVICE void dense(const Model &model, u32 l, const float *bias, u32 inputs, u32 tile, Memory &m,
                      const Keep &keep) {
    const Layer layer = at<Layer>(model, model.layers)[l];
    const float *weights = at<float>(model, layer.weights);
    for (u32 n = thread(); n < layer.outputs * (tile / POINTS); n += threads()) {
        const u32 output = n % layer.outputs, first = n / layer.outputs * POINTS;
        float sums[POINTS];
        for (u32 j = 0; j < POINTS; j++)
            sums[j] = bias[output];
        for (u32 k = 0; k < inputs; k++) {
            const float weight = weights[u64(k) * layer.outputs + output];
            const float *x = m.front + k * tile + first;
            for (u32 j = 0; j < POINTS; j++)
                sums[j] += weight * x[j];
        }
        for (u32 j = 0; j < POINTS; j++) {
            const u32 place = output * tile + first + j;
            const float x = activate(layer.activation, sums[j]);
            keep(l + 1, place, sums[j], x);
            m.back[place] = rounded(model, l + 1, x);
        }
    }
    barrier();
    swap(m);
}

} // namespace drr
