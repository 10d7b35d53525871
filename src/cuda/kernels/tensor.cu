// The kernel for tensor cores (compute capability 8.0): layers in 16 bits, sums in 32. A warp has
// 32 points at a time, whose hidden values only it touches, so that warps wait for nobody; the
// weights of all layers stay in shared memory.
//
// For models of one binding whose vectors have up to 256 numbers and whose grids begin and end at
// multiples of 8 channels; src/cuda/tensor.rs says which.

#include "arrays.h"
#include "evaluate.h"

namespace drr {

constexpr u32 ROWS = 32; // points of a warp
constexpr u32 CHUNK = 8; // channels that a lane adds up at a time

// What a warp has in shared memory; `warp_bytes` of src/cuda/tensor.rs counts it.
struct Own {
    u16 *x;         // [ROWS][stride]: the vectors, in 16 bits
    u32 *vertices;  // [grids][CORNERS][ROWS]
    float *weights; // [grids][CORNERS][ROWS]
};

// Sixteen bytes, which are read and written at once.
struct alignas(16) Words {
    u32 word[4];
};

DRR_DEVICE Own own_memory(const Query &q) {
    const u32 corners = q.model.grid_count * CORNERS * ROWS;
    char *next = shared_memory() + q.tensor.bytes + thread() / 32 * q.tensor.warp_bytes;
    Own own;
    own.x = reinterpret_cast<u16 *>(next);
    own.vertices = reinterpret_cast<u32 *>(next + ROWS * q.tensor.stride * sizeof(u16));
    own.weights = reinterpret_cast<float *>(own.vertices + corners);
    return own;
}

// Vertices and weights of the lane's point in all grids.
DRR_DEVICE void find_vertices(const Query &q, const Own &own, const double *position) {
    const u32 lane = thread() % 32;
    for (u32 g = 0; g < q.model.grid_count; g++) {
        const Grid &grid = at<Grid>(q.model, q.model.grids)[g];
        u32 *vertices = own.vertices + g * CORNERS * ROWS + lane;
        float *weights = own.weights + g * CORNERS * ROWS + lane;
        vertices[0] = 0;
        weights[0] = 1.0f;
        u32 count = 1, step = 1;
        for (u32 d = 0; d < grid.dims; d++) {
            const u32 axis = grid.axes[d], size = grid.sizes[d];
            const double x = axis == 0 ? position[0] : axis == 1 ? position[1] : position[2];
            const Bracket b = q.frame.fades ? fading(x, size) : border(x, size);
            for (u32 c = 0; c < count; c++) {
                vertices[(count + c) * ROWS] = vertices[c * ROWS] + b.upper * step;
                weights[(count + c) * ROWS] = weights[c * ROWS] * b.weights[1];
                vertices[c * ROWS] += b.lower * step;
                weights[c * ROWS] *= b.weights[0];
            }
            count *= 2;
            step *= size;
        }
        // Of fewer axes there are fewer corners: the others weigh nothing.
        for (u32 c = count; c < CORNERS; c++) {
            vertices[c * ROWS] = vertices[0];
            weights[c * ROWS] = 0.0f;
        }
    }
}

// Eight channels from `c` on of each corner, all asked for before any is used.
DRR_DEVICE void add_corners(const Model &model, const Grid &grid, const u32 *vertices,
                            const float *weights, u32 c, float *sums) {
    if (grid.scalar == F16) {
        Words words[CORNERS];
        DRR_UNROLL
        for (u32 k = 0; k < CORNERS; k++)
            words[k] = *reinterpret_cast<const Words *>(at<u16>(model, grid.data) +
                                                        u64(vertices[k * ROWS]) * grid.row + c);
        DRR_UNROLL
        for (u32 k = 0; k < CORNERS; k++)
            DRR_UNROLL
        for (u32 j = 0; j < CHUNK; j++)
            sums[j] += weights[k * ROWS] * float_of_half(u16(words[k].word[j / 2] >> 16 * (j % 2)));
    } else if (grid.scalar == I8) {
        u64 words[CORNERS];
        float parts[CHUNK] = {}, total = 0.0f;
        DRR_UNROLL
        for (u32 k = 0; k < CORNERS; k++)
            words[k] = *reinterpret_cast<const u64 *>(at<signed char>(model, grid.data) +
                                                      u64(vertices[k * ROWS]) * grid.row + c);
        DRR_UNROLL
        for (u32 k = 0; k < CORNERS; k++) {
            total += weights[k * ROWS];
            DRR_UNROLL
            for (u32 j = 0; j < CHUNK; j++)
                parts[j] += weights[k * ROWS] * float((signed char)(words[k] >> 8 * j));
        }
        DRR_UNROLL
        for (u32 j = 0; j < CHUNK; j++)
            sums[j] += at<float>(model, grid.zero)[c + j] * total +
                       at<float>(model, grid.scale)[c + j] * parts[j];
    } else {
        for (u32 k = 0; k < CORNERS; k++) {
            const Words *words = reinterpret_cast<const Words *>(
                at<float>(model, grid.data) + u64(vertices[k * ROWS]) * grid.row + c);
            const Words low = words[0], high = words[1];
            DRR_UNROLL
            for (u32 j = 0; j < CHUNK; j++)
                sums[j] += weights[k * ROWS] * float_of(j < 4 ? low.word[j % 4] : high.word[j % 4]);
        }
    }
}

// The input vectors of the warp's points, in 16 bits. Neighbouring lanes have neighbouring
// channels.
DRR_DEVICE void gather_rows(const Query &q, const Own &own, u32 width) {
    const Model &model = q.model;
    const float *starts = reinterpret_cast<const float *>(q.binding.inputs);
    const u32 chunks = width / CHUNK;
    for (u32 n = thread() % 32; n < ROWS * chunks; n += 32) {
        const u32 first = n % chunks * CHUNK, point = n / chunks;
        float sums[CHUNK];
        DRR_UNROLL
        for (u32 j = 0; j < CHUNK; j++)
            sums[j] = first + j < model.spatial ? starts[first + j] : 0.0f;
        for (u32 g = 0; g < model.grid_count; g++) {
            const Grid &grid = at<Grid>(model, model.grids)[g];
            if (first >= grid.offset && first < grid.offset + grid.channels)
                add_corners(model, grid, own.vertices + g * CORNERS * ROWS + point,
                            own.weights + g * CORNERS * ROWS + point, first - grid.offset, sums);
        }
        Words words;
        DRR_UNROLL
        for (u32 j = 0; j < CHUNK; j += 2)
            words.word[j / 2] =
                halves_of_floats(rounded(model, 0, activate(model.activation, sums[j])),
                                 rounded(model, 0, activate(model.activation, sums[j + 1])));
        *reinterpret_cast<Words *>(own.x + point * q.tensor.stride + first) = words;
    }
}

DRR_DEVICE u32 two_halves(const u16 *at) { return *reinterpret_cast<const u32 *>(at); }

// A layer of up to KT * 16 inputs, in place: a warp has all inputs of MT * 16 points in registers
// before it writes. The last layer's results are 32-bit numbers at the beginning of each row.
template <u32 KT, u32 MT>
DRR_DEVICE void multiply(const Query &q, const Own &own, u32 l, const float *bias,
                         const u16 *weights, u32 width) {
    const Model &model = q.model;
    const Layer &layer = at<Layer>(model, model.layers)[l];
    const bool is_last = l + 1 == model.layer_count;
    const u32 stride = q.tensor.stride, weight_stride = width + CHUNK, tiles = width / 16;
    const u32 group = thread() % 32 / 4, pair = thread() % 4 * 2;
    for (u32 m = 0; m < ROWS; m += 16 * MT) {
        u32 a[MT][KT][4];
        DRR_UNROLL
        for (u32 t = 0; t < MT; t++)
            DRR_UNROLL
        for (u32 k = 0; k < KT; k++)
            if (k < tiles) {
                const u16 *x = own.x + (m + 16 * t + group) * stride + 16 * k + pair;
                a[t][k][0] = two_halves(x);
                a[t][k][1] = two_halves(x + 8 * stride);
                a[t][k][2] = two_halves(x + 8);
                a[t][k][3] = two_halves(x + 8 * stride + 8);
            }
        warp_barrier();
        for (u32 n = 0; n < layer.outputs; n += 8) {
            const u32 output = n + pair;
            const float low = output < layer.outputs ? bias[output] : 0.0f;
            const float high = output + 1 < layer.outputs ? bias[output + 1] : 0.0f;
            float c[MT][4];
            DRR_UNROLL
            for (u32 t = 0; t < MT; t++) {
                c[t][0] = c[t][2] = low;
                c[t][1] = c[t][3] = high;
            }
            const u16 *w = weights + (n + group) * weight_stride + pair;
            DRR_UNROLL
            for (u32 k = 0; k < KT; k++)
                if (k < tiles) {
                    const u32 b[2] = {two_halves(w + 16 * k), two_halves(w + 16 * k + 8)};
                    DRR_UNROLL
                    for (u32 t = 0; t < MT; t++)
                        multiply_add(c[t], a[t][k], b);
                }
            DRR_UNROLL
            for (u32 t = 0; t < MT; t++)
                DRR_UNROLL
            for (u32 h = 0; h < 2; h++) {
                u16 *row = own.x + (m + 16 * t + group + 8 * h) * stride;
                const float y0 = activate(layer.activation, c[t][2 * h]);
                const float y1 = activate(layer.activation, c[t][2 * h + 1]);
                if (is_last) {
                    reinterpret_cast<float *>(row)[output] = y0;
                    reinterpret_cast<float *>(row)[output + 1] = y1;
                } else {
                    *reinterpret_cast<u32 *>(row + output) =
                        halves_of_floats(rounded(model, l + 1, y0), rounded(model, l + 1, y1));
                }
            }
        }
        warp_barrier();
    }
}

// Numbers up to the next multiple of 16 are inputs of the next layer, with weights of zero: they
// must not be what is left of an earlier layer, which can be infinite.
DRR_DEVICE void clear_padding(const Query &q, const Own &own, u32 outputs) {
    const u32 from = (outputs + 7) / 8 * 8, to = (outputs + 15) / 16 * 16;
    u16 *row = own.x + thread() % 32 * q.tensor.stride;
    for (u32 k = from; k < to; k++)
        row[k] = 0;
    warp_barrier();
}

template <u32 KT, u32 MT> DRR_DEVICE void evaluate(const Query &q) {
    const Model &model = q.model;
    const Words *from = at<Words>(model, q.tensor.weights);
    Words *shared = reinterpret_cast<Words *>(shared_memory());
    for (u32 n = thread(); n < q.tensor.bytes / sizeof(Words); n += threads())
        shared[n] = from[n];
    barrier();
    const Own own = own_memory(q);
    const u32 lane = thread() % 32, warps = threads() / 32;
    const bool binding_is_nan = *reinterpret_cast<const u32 *>(q.binding.is_nan) != 0;
    u64 first = (u64(block()) * warps + thread() / 32) * ROWS;
    for (; first < q.count; first += u64(blocks()) * warps * ROWS) {
        // The points beyond the last one are like it.
        const u64 point = first + lane < q.count ? first + lane : q.count - 1;
        bool is_nan = binding_is_nan;
        double position[3] = {0.0, 0.0, 0.0};
        DRR_UNROLL
        for (u32 axis = 0; axis < 3; axis++)
            if (axis < model.dims)
                position[axis] =
                    normalize(q.frame, axis, coordinate(q.points, point, axis), is_nan);
        find_vertices(q, own, position);
        warp_barrier();
        u32 width = (model.spatial + 15) / 16 * 16;
        gather_rows(q, own, width);
        warp_barrier();
        const u16 *weights = reinterpret_cast<const u16 *>(shared_memory());
        for (u32 l = 0; l < model.layer_count; l++) {
            const Layer &layer = at<Layer>(model, model.layers)[l];
            const float *bias = l == 0 ? reinterpret_cast<const float *>(q.binding.bias)
                                       : at<float>(model, layer.bias);
            multiply<KT, MT>(q, own, l, bias, weights, width);
            if (l + 1 < model.layer_count)
                clear_padding(q, own, layer.outputs);
            weights += u64((layer.outputs + 7) / 8 * 8) * (width + CHUNK);
            width = (layer.outputs + 15) / 16 * 16;
        }
        const float *values = reinterpret_cast<const float *>(own.x + lane * q.tensor.stride);
        for (u32 k = 0; k < model.outputs && first + lane < q.count; k++)
            write_value(q, point, k, values[k], is_nan);
        // No barrier: the next rows are written after that of the vertices.
    }
}

} // namespace drr

// Values at points, for models whose vectors have up to 64, 128 and 256 numbers.
DRR_KERNEL drr_tensor_64(const drr::Query q) { drr::evaluate<4, 2>(q); }
DRR_KERNEL drr_tensor_128(const drr::Query q) { drr::evaluate<8, 2>(q); }
DRR_KERNEL drr_tensor_256(const drr::Query q) { drr::evaluate<16, 1>(q); }
