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
