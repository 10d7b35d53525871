// Values and their derivatives by coordinates and parameters, in 32 bits: layers forwards, keeping
// how steep each activation was, then back through them once for each value. docs/derivatives.md
// says what holds where a derivative has two sides.

#include "tile.h"

namespace drr {

// What is kept beside the memory of a tile; `tape_bytes` of src/cuda/resident.rs counts it. A level
// is the input vector or a layer.
struct Tape {
    double *scales;      // [3][tile]: cells per unit of a coordinate, 0 where nothing changes
    double *position;    // [3][tile]: derivatives of a value by each coordinate
    float *slopes;       // [numbers of all levels][tile]: of the activations
    float *values;       // [outputs][tile]
    float *fractions;    // [3][tile]: where in its cell a point lies
    float *by_parameter; // [parameters][tile]: derivatives of a value
    float *parts;        // [3][threads]: sums of single threads
    u32 levels;          // numbers of all levels
};

DRR_DEVICE Tape tape_of(const Query &q, const Memory &m) {
    Tape t;
    t.levels = q.model.spatial;
    for (u32 l = 0; l < q.model.layer_count; l++)
        t.levels += at<Layer>(q.model, q.model.layers)[l].outputs;
    t.scales = reinterpret_cast<double *>(m.end);
    t.position = t.scales + 3 * q.tile;
    t.slopes = reinterpret_cast<float *>(t.position + 3 * q.tile);
    t.values = t.slopes + u64(t.levels) * q.tile;
    t.fractions = t.values + q.model.outputs * q.tile;
    t.by_parameter = t.fractions + 3 * q.tile;
    t.parts = t.by_parameter + q.model.parameters * q.tile;
    return t;
}

// Keeps how a number of a level changes with its sum. That layers round their inputs counts as no
// change; those beyond what 8 bits reach are held at the end.
struct KeepSlopes {
    const Model &model;
    float *slopes; // of the level
    DRR_DEVICE void operator()(u32 level, u32 n, float sum, float result) const {
        const u32 before =
            level ? at<Layer>(model, model.layers)[level - 1].activation : model.activation;
        float slope = steepness(before, sum);
        if (level < model.layer_count) {
            const Layer &next = at<Layer>(model, model.layers)[level];
            const bool is_held = result < next.low || result > next.low + 255.0f * next.step;
            slope = next.precision == STEPS && is_held ? 0.0f : slope;
        }
        slopes[n] = slope;
    }
};

// The values of the points from `first` on, in `m.front`, and all slopes.
DRR_DEVICE void forward(const Query &q, Memory &m, const Tape &t, u64 first) {
    const Model &model = q.model;
    float *slopes = t.slopes;
    u32 width = model.spatial;
    locate(q, m, first);
    gather(q, m, first, width, KeepSlopes{model, slopes});
    for (u32 l = 0; l < model.layer_count; l++) {
        const Layer &layer = at<Layer>(model, model.layers)[l];
        slopes += u64(width) * q.tile;
        const float *bias =
            l == 0 ? reinterpret_cast<const float *>(q.binding.bias) : at<float>(model, layer.bias);
        dense(model, l, bias, width, q.tile, m, KeepSlopes{model, slopes});
        width = layer.outputs;
    }
    for (u32 n = thread(); n < model.outputs * q.tile; n += threads())
        t.values[n] = m.front[n];
    barrier();
}

// From how a value changes with the sums of a layer, in `m.front`, to how it changes with those of
// its inputs, of which `slopes` are known.
DRR_DEVICE void back(const Model &model, const Layer &layer, u32 inputs, u32 tile, Memory &m,
                     const float *slopes) {
    const float *weights = at<float>(model, layer.weights);
    for (u32 n = thread(); n < inputs * (tile / POINTS); n += threads()) {
        const u32 input = n % inputs, first = n / inputs * POINTS;
        float sums[POINTS] = {};
        for (u32 output = 0; output < layer.outputs; output++) {
            const float weight = weights[u64(input) * layer.outputs + output];
            const float *x = m.front + output * tile + first;
            for (u32 j = 0; j < POINTS; j++)
                sums[j] += weight * x[j];
        }
        for (u32 j = 0; j < POINTS; j++) {
            const u32 place = input * tile + first + j;
            m.back[place] = slopes[place] * sums[j];
        }
    }
    barrier();
    swap(m);
}

// Adds what the parameters change by way of `count` numbers of `m.front`.
DRR_DEVICE void add_parameters(const Query &q, const Memory &m, const Tape &t, u64 slopes,
                               u32 count) {
    const float *all = reinterpret_cast<const float *>(slopes);
    for (u32 n = thread(); n < q.model.parameters * q.tile; n += threads()) {
        const float *own = all + u64(n / q.tile) * count;
        float sum = 0.0f;
        for (u32 k = 0; k < count; k++)
            sum += own[k] * m.front[k * q.tile + n % q.tile];
        t.by_parameter[n] += sum;
    }
}

// The vertices around a coordinate and what they count, 0 or 1.
struct Cell {
    u32 lower, upper;
    float has_lower, has_upper, fraction;
    double scale;
};

// `x` goes from 0 to 1.
DRR_DEVICE Cell cell_of(double x, u32 size, bool fades, double unit) {
    if (size == 1)
        return {0, 0, 1.0f, 1.0f, 0.0f, 0.0};
    const double last = double(size - 1), p = x * last, scale = unit * last;
    if (fades && p < 0.0)
        return p >= -1.0 ? Cell{0, 0, 0.0f, 1.0f, float(p + 1.0), scale}
                         : Cell{0, 0, 0.0f, 0.0f, 0.0f, 0.0};
    if (fades && p > last)
        return p < last + 1.0 ? Cell{size - 1, size - 1, 1.0f, 0.0f, float(p - last), scale}
                              : Cell{0, 0, 0.0f, 0.0f, 0.0f, 0.0};
    const double nearest = fmin(fmax(p, 0.0), last);
    const u32 below = u32(nearest), lower = below < size - 1 ? below : size - 2;
    return {
        lower, lower + 1, 1.0f, 1.0f, float(nearest - double(lower)), nearest == p ? scale : 0.0};
}

// A coordinate, from 0 to 1: beyond the border by rounding counts as on it.
DRR_DEVICE double on_axis(const Query &q, const Memory &m, u32 axis, u32 i) {
    const double x = m.positions[axis * q.tile + i];
    const bool is_inside = fabs(x) <= q.frame.axes[axis].limit;
    return ((is_inside ? fmin(fmax(x, -1.0), 1.0) : x) + 1.0) * 0.5;
}

// The cell of point `i` in a grid: where its corners begin, and whether they count.
DRR_DEVICE void find_cell(const Query &q, const Grid &grid, const Memory &m, const Tape &t, u32 i) {
    const u32 tile = q.tile;
    const double *parameters = reinterpret_cast<const double *>(q.binding.parameters);
    u32 count = 1;
    u64 stride = 1;
    m.starts[i] = 0;
    m.weights[i] = 1.0f;
    for (u32 d = 0; d < grid.dims; d++) {
        const u32 axis = grid.axes[d], size = grid.sizes[d];
        const Cell cell = axis < q.model.dims
                              ? cell_of(on_axis(q, m, axis, i), size, q.frame.fades, 0.5)
                              : cell_of(parameters[axis - q.model.dims], size, false, 1.0);
        split(grid, m, tile, i, d, count, stride, cell.lower, cell.upper, cell.has_lower,
              cell.has_upper);
        t.fractions[d * tile + i] = cell.fraction;
        t.scales[d * tile + i] = cell.scale;
        count *= 2;
        stride *= size;
    }
    to_numbers(grid, m, tile, i, count);
}

// The product of all other factors of grid `g`, in `m.back`; for all threads.
DRR_DEVICE void multiply_others(const Query &q, const Memory &m, u32 g) {
    const Model &model = q.model;
    const double *parameters = reinterpret_cast<const double *>(q.binding.parameters);
    const Grid *grids = at<Grid>(model, model.grids);
    u32 first = g;
    while (grids[first].role != FIRST)
        first--;
    bool is_first = true;
    for (u32 other = first; other == first || grids[other - 1].role != LAST; other++) {
        if (other == g)
            continue;
        const Grid grid = grids[other];
        for (u32 i = thread(); i < q.tile; i += threads())
            find_corners(grid, m, q.tile, i, [&, i](u32 axis, u32 size) {
                if (axis >= model.dims)
                    return between(parameters[axis - model.dims], size);
                const double x = 2.0 * on_axis(q, m, axis, i) - 1.0;
                return q.frame.fades ? fading(x, size) : border(x, size);
            });
        barrier();
        for (u32 n = thread(); n < grid.channels * q.tile; n += threads()) {
            const u32 c = n % grid.channels, i = n / grid.channels;
            const float factor = interpolate(model, grid, m, q.tile, i, c);
            m.back[c * q.tile + i] = is_first ? factor : factor * m.back[c * q.tile + i];
        }
        is_first = false;
        barrier();
    }
}

// How the dot product of a grid's features and `m.front` changes within the cell of a point, along
// each dimension of the grid, times the other factors of its product. A few threads share the
// channels of a point, neighbours side by side. Differences of vertices come first: what they have
// in common cancels before it is rounded.
DRR_DEVICE void add_channels(const Query &q, const Grid &grid, const Memory &m, const Tape &t) {
    const Model &model = q.model;
    const u32 tile = q.tile, sharing = threads() / tile, mask = (1u << grid.dims) - 1;
    const u32 i = thread() / sharing;
    const float x = t.fractions[i], y = grid.dims > 1 ? t.fractions[tile + i] : 0.0f;
    const float z = grid.dims > 2 ? t.fractions[2 * tile + i] : 0.0f;
    float sums[3] = {};
    for (u32 c = thread() % sharing; c < grid.channels; c += sharing) {
        float v[CORNERS];
        DRR_UNROLL
        for (u32 k = 0; k < CORNERS; k++)
            v[k] = m.weights[(k & mask) * tile + i] *
                   feature(model, grid, m.starts[(k & mask) * tile + i], c);
        const float x0 = v[1] - v[0], x1 = v[3] - v[2], x2 = v[5] - v[4], x3 = v[7] - v[6];
        const float y0 = v[2] + x * x1 - (v[0] + x * x0), y1 = v[6] + x * x3 - (v[4] + x * x2);
        const float low = x0 + y * (x1 - x0), high = x2 + y * (x3 - x2);
        const float z0 = v[4] + x * x2 + y * y1 - (v[0] + x * x0 + y * y0);
        float gradient = m.front[(grid.offset + c) * tile + i];
        if (grid.role != ALONE)
            gradient *= m.back[c * tile + i];
        sums[0] += gradient * (low + z * (high - low));
        sums[1] += gradient * (y0 + z * (y1 - y0));
        sums[2] += gradient * z0;
    }
    for (u32 d = 0; d < 3; d++)
        t.parts[d * threads() + thread()] = sums[d];
}

// Derivatives by the coordinates, and by the parameters as far as grids change with them, from
// those by the input vector in `m.front`.
DRR_DEVICE void add_positions(const Query &q, const Memory &m, const Tape &t) {
    const Model &model = q.model;
    const u32 sharing = threads() / q.tile;
    for (u32 n = thread(); n < 3 * q.tile; n += threads())
        t.position[n] = 0.0;
    for (u32 g = 0; g < model.grid_count; g++) {
        const Grid grid = at<Grid>(model, model.grids)[g];
        if (grid.role != ALONE)
            multiply_others(q, m, g);
        for (u32 i = thread(); i < q.tile; i += threads())
            find_cell(q, grid, m, t, i);
        barrier();
        add_channels(q, grid, m, t);
        barrier();
        for (u32 n = thread(); n < grid.dims * q.tile; n += threads()) {
            const u32 d = n / q.tile, i = n % q.tile;
            double sum = 0.0;
            for (u32 part = 0; part < sharing; part++)
                sum += double(t.parts[d * threads() + i * sharing + part]);
            const u32 axis = grid.axes[d];
            if (axis < model.dims)
                t.position[axis * q.tile + i] += sum * t.scales[n];
            else
                t.by_parameter[(axis - model.dims) * q.tile + i] += float(sum * t.scales[n]);
        }
        barrier();
    }
}

// What derivatives of value `k` of the tile's point `i` are multiplied by: they are of values in
// the caller's units, by normalised coordinates and parameters.
DRR_DEVICE double unit(const Query &q, const Memory &m, const Tape &t, u32 k, u32 i) {
    const double value = t.values[k * q.tile + i];
    if (m.is_nan[i] || value != value)
        return not_a_number();
    if (!q.frame.is_physical)
        return 1.0;
    const Value to = at<Value>(q.model, q.model.values)[k];
    return to.is_log ? exp(value * to.range + to.min) * to.range : to.range;
}

// Derivatives of value `k` of the points from `first` on.
DRR_DEVICE void derive(const Gradient &g, Memory &m, const Tape &t, u32 k, u64 first) {
    const Query &q = g.query;
    const Model &model = q.model;
    const u32 tile = q.tile;
    const float *slopes = t.slopes + u64(t.levels - model.outputs) * tile;
    const bool wants_slopes = g.wants_position || (g.wants_parameters && model.grids_change);
    // Without layers the level of the input vector is the last one.
    for (u32 n = thread(); n < model.outputs * tile; n += threads())
        m.front[n] = n / tile == k ? slopes[n] : 0.0f;
    for (u32 n = thread(); n < model.parameters * tile; n += threads())
        t.by_parameter[n] = 0.0f;
    barrier();
    for (u32 l = model.layer_count; l-- > 0;) {
        const Layer &layer = at<Layer>(model, model.layers)[l];
        if (l == 0 && g.wants_parameters)
            add_parameters(q, m, t, q.binding.bias_slopes, layer.outputs);
        if (l == 0 && !wants_slopes && !g.has_input_slopes)
            break;
        const u32 inputs = l == 0 ? model.spatial : layer.inputs;
        slopes -= u64(inputs) * tile;
        back(model, layer, inputs, tile, m, slopes);
    }
    if (g.wants_parameters && g.has_input_slopes)
        add_parameters(q, m, t, q.binding.input_slopes, model.spatial);
    if (wants_slopes)
        add_positions(q, m, t);
    for (u32 n = thread(); n < model.dims * tile && g.wants_position; n += threads()) {
        const u32 axis = n / tile, i = n % tile;
        const double derivative =
            t.position[n] * (unit(q, m, t, k, i) / (0.5 * q.frame.axes[axis].range));
        if (first + i < q.count)
            write(place(g.position, q.points, first + i, k, axis), g.position.scalar, derivative);
    }
    for (u32 n = thread(); n < model.parameters * tile && g.wants_parameters; n += threads()) {
        const u32 p = n / tile, i = n % tile;
        const double range = q.frame.is_physical ? at<Range>(model, model.ranges)[p].range : 1.0;
        const double derivative = double(t.by_parameter[n]) * (unit(q, m, t, k, i) / range);
        if (first + i < q.count)
            write(place(g.parameters, q.points, first + i, k, p), g.parameters.scalar, derivative);
    }
    barrier();
}

} // namespace drr

// Values and derivatives at points. Blocks take one tile after another.
DRR_KERNEL drr_gradient(const drr::Gradient g) {
    using namespace drr;
    const Query &q = g.query;
    Memory m = memory_of(q);
    const Tape t = tape_of(q, m);
    for (u64 first = u64(block()) * q.tile; first < q.count; first += u64(blocks()) * q.tile) {
        forward(q, m, t, first);
        for (u32 n = thread(); n < q.model.outputs * q.tile && g.wants_values; n += threads()) {
            const u32 k = n / q.tile, i = n % q.tile;
            if (first + i < q.count)
                write_value(q, first + i, k, t.values[n], m.is_nan[i] != 0);
        }
        for (u32 k = 0; k < q.model.outputs && (g.wants_position || g.wants_parameters); k++)
            derive(g, m, t, k, first);
        barrier();
    }
}
