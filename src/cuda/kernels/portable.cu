// The kernels for every GPU: values at points in 32-bit arithmetic, and the binding of parameters.

#include "tile.h"

namespace drr {

DRR_DEVICE void write_values(const Query &q, const Memory &m, u64 first) {
    const Model &model = q.model;
    for (u32 n = thread(); n < model.outputs * q.tile; n += threads()) {
        const u32 k = n % model.outputs, i = n / model.outputs;
        if (first + i >= q.count)
            continue;
        write_value(q, first + i, k, m.front[k * q.tile + i], m.is_nan[i] != 0);
    }
    barrier();
}

// Feature `f` of a grid along parameters alone or, with one of its dimensions for `slope`, how it
// changes along that: on a vertex as in the cell above, on the last one as in the cell below.
DRR_DEVICE double along_parameters(const Model &model, const Grid &grid, const double *parameters,
                                   u32 f, u32 slope) {
    double sum = 0.0;
    for (u32 c = 0; c < 1u << grid.dims; c++) {
        double weight = 1.0;
        u64 row = 0, stride = 1;
        for (u32 d = 0; d < grid.dims; d++) {
            const u32 size = grid.sizes[d], is_upper = c >> d & 1;
            const double t = parameters[grid.axes[d] - model.dims], last = double(size - 1);
            const double p = fmin(fmax(t, 0.0), 1.0) * last;
            const u32 cell = size < 2 ? 0 : u32(p) < size - 2 ? u32(p) : size - 2;
            const u32 index = size < 2 ? 0 : cell + is_upper;
            const double fraction = p - double(cell);
            if (d == slope)
                weight *= size < 2 || !(t >= 0.0 && t <= 1.0) ? 0.0 : is_upper ? last : -last;
            else
                weight *= is_upper ? fraction : 1.0 - fraction;
            row = grid.entries ? row ^ hash(d, index) : row + index * stride;
            stride *= size;
        }
        row = grid.entries ? row & (grid.entries - 1) : row;
        sum += weight * double(feature(model, grid, row * grid.row, f));
    }
    return sum;
}

// How many grids are multiplied, from this one on.
DRR_DEVICE u32 factors(const Grid *grids) {
    u32 count = 1;
    while (grids[count - 1].role == FIRST || grids[count - 1].role == BETWEEN)
        count++;
    return count;
}

// Feature `f` of a product of grids along parameters alone, or how it changes with dimension
// `slope` of grid `changing`.
DRR_DEVICE double product(const Model &model, const Grid *grids, u32 count,
                          const double *parameters, u32 f, u32 changing, u32 slope) {
    double product = 1.0;
    for (u32 g = 0; g < count; g++)
        product *= along_parameters(model, grids[g], parameters, f, g == changing ? slope : 3);
    return product;
}

// How the parts of a binding change with each parameter, normalised. `inputs` is the input vector
// before its activation. On a vertex of a line that is the cell above, on the last one the cell
// below; nothing changes with parameters outside.
DRR_DEVICE void find_slopes(const Bind &b, const double *inputs) {
    const Model &model = b.model;
    double *changes = reinterpret_cast<double *>(b.scratch) + model.width;
    const u32 outputs = model.layer_count ? at<Layer>(model, model.layers)[0].outputs : 0;
    for (u32 p = 0; p < model.parameters; p++) {
        const double t = b.parameters[p];
        for (u32 k = thread(); k < model.width; k += threads())
            changes[k] = 0.0;
        barrier();
        for (u32 l = 0; l < model.line_count; l++) {
            const Grid line = at<Grid>(model, model.lines)[l];
            if (line.axes[0] != p || line.sizes[0] == 1 || !(t >= 0.0 && t <= 1.0))
                continue;
            const u32 cells = line.sizes[0] - 1, cell = u32(t * double(cells));
            const float *data =
                at<float>(model, line.data) + u64(cell < cells ? cell : cells - 1) * line.row;
            for (u32 f = thread(); f < line.channels; f += threads())
                changes[line.offset + f] +=
                    (double(data[line.row + f]) - double(data[f])) * double(cells);
            barrier();
        }
        const Grid *own = at<Grid>(model, model.grids) + model.grid_count;
        for (u32 g = 0; g < model.own_count;) {
            const u32 count = factors(own + g);
            for (u32 f = thread(); f < own[g].channels; f += threads())
                for (u32 k = 0; k < count; k++)
                    for (u32 d = 0; d < own[g + k].dims; d++)
                        if (own[g + k].axes[d] == model.dims + p)
                            changes[own[g].offset + f] +=
                                product(model, own + g, count, b.parameters, f, k, d);
            barrier();
            g += count;
        }
        float *input_slopes = reinterpret_cast<float *>(b.binding.input_slopes);
        for (u32 k = thread(); k < model.spatial; k += threads())
            input_slopes[u64(p) * model.spatial + k] = float(changes[k]);
        float *bias_slopes = reinterpret_cast<float *>(b.binding.bias_slopes);
        for (u32 output = thread(); output < outputs; output += threads()) {
            const float *weights = at<float>(model, at<Layer>(model, model.layers)[0].weights);
            double sum = 0.0;
            for (u32 k = model.spatial; k < model.width; k++)
                sum += changes[k] * steepness(model.activation, float(inputs[k])) *
                       double(weights[u64(k) * outputs + output]);
            bias_slopes[u64(p) * outputs + output] = float(sum);
        }
        barrier();
    }
}

} // namespace drr

// Values at points. Blocks take one tile after another.
DRR_KERNEL drr_query(const drr::Query q) {
    using namespace drr;
    Memory m = memory_of(q);
    const Model &model = q.model;
    const bool has_table = q.table.is_given;
    const u32 width = has_table ? model.width : model.spatial;
    for (u64 first = u64(block()) * q.tile; first < q.count; first += u64(blocks()) * q.tile) {
        locate(q, m, first);
        gather(q, m, first, width, KeepNothing{});
        for (u32 l = 0; l < model.layer_count; l++) {
            const Layer &layer = at<Layer>(model, model.layers)[l];
            const bool is_bound = l == 0 && !has_table;
            const float *bias = is_bound ? reinterpret_cast<const float *>(q.binding.bias)
                                         : at<float>(model, layer.bias);
            dense(model, l, bias, l == 0 ? width : layer.inputs, q.tile, m, KeepNothing{});
        }
        write_values(q, m, first);
    }
}

// What a model starts from for one set of parameters. For one block.
DRR_KERNEL drr_bind(const drr::Bind b) {
    using namespace drr;
    const Model &model = b.model;
    double *inputs = reinterpret_cast<double *>(b.scratch);
    float *starts = reinterpret_cast<float *>(b.binding.inputs);
    float *bias = reinterpret_cast<float *>(b.binding.bias);
    for (u32 k = thread(); k < model.width; k += threads())
        inputs[k] = at<float>(model, model.input_bias)[k];
    if (thread() == 0)
        *reinterpret_cast<u32 *>(b.binding.is_nan) = b.is_nan;
    for (u32 n = thread(); n < model.parameters; n += threads())
        reinterpret_cast<double *>(b.binding.parameters)[n] = b.parameters[n];
    barrier();
    for (u32 l = 0; l < model.line_count; l++) {
        const Grid line = at<Grid>(model, model.lines)[l];
        const float *data = at<float>(model, line.data);
        const double last = double(line.sizes[0] - 1);
        const double p = fmin(fmax(b.parameters[line.axes[0]], 0.0), 1.0) * last;
        const u32 lower = u32(p), upper = lower + 1 < line.sizes[0] ? lower + 1 : lower;
        for (u32 f = thread(); f < line.channels; f += threads()) {
            const double from = data[u64(lower) * line.row + f],
                         to = data[u64(upper) * line.row + f];
            inputs[line.offset + f] += from + (p - double(lower)) * (to - from);
        }
        barrier();
    }
    const Grid *own = at<Grid>(model, model.grids) + model.grid_count;
    for (u32 g = 0; g < model.own_count;) {
        const u32 count = factors(own + g);
        for (u32 f = thread(); f < own[g].channels; f += threads())
            inputs[own[g].offset + f] += product(model, own + g, count, b.parameters, f, 0, 3);
        barrier();
        g += count;
    }
    for (u32 k = thread(); k < model.spatial; k += threads())
        starts[k] = float(inputs[k]);
    find_slopes(b, inputs);
    if (model.layer_count == 0)
        return;
    for (u32 k = model.spatial + thread(); k < model.width; k += threads())
        inputs[k] = activate(model.activation, float(inputs[k]));
    barrier();
    const Layer layer = at<Layer>(model, model.layers)[0];
    const float *weights = at<float>(model, layer.weights);
    for (u32 output = thread(); output < layer.outputs; output += threads()) {
        double sum = at<float>(model, layer.bias)[output];
        for (u32 k = model.spatial; k < model.width; k++)
            sum += inputs[k] * double(weights[u64(k) * layer.outputs + output]);
        bias[output] = float(sum);
    }
}
