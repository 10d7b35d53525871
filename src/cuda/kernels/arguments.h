// What kernels are given. src/cuda/arguments.rs has the same structs; a test compares the layouts.
#pragma once

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

namespace drr {

// Types of numbers in the caller's arrays and in grids.
enum Scalar : u32 { F32 = 0, F64 = 1, F16 = 2, I8 = 3 };

enum Activation : u32 { IDENTITY, RELU, ELU, SILU, GELU, SIGMOID, TANH, SINE };

// What inputs of a layer are rounded to.
enum Precision : u32 { PLAIN = 0, BF16 = 1, STEPS = 2 };

// Results that can go to arrays of their own.
constexpr int MAX_SEPARATE = 32;

// Parameters that can be bound.
constexpr int MAX_PARAMETERS = 128;

// What becomes of a grid's features: they are added, or they are a factor of a product, whose grids
// follow one another.
enum Role : u32 { ALONE, FIRST, BETWEEN, LAST };

// A feature grid or, of one axis, a line over a parameter. Addresses are bytes from `Model::base`.
struct Grid {
    u64 data;        // [vertices][row] or [entries][row], channel-last
    u64 scale, zero; // 8-bit grids: float [channels]
    u32 axes[3];     // coordinates, or `Model::dims` + a parameter, fastest first; of a line, the
                     // parameter
    u32 sizes[3];    // vertices along each
    u32 dims;        // axes that it has
    u32 channels, row, offset;
    u32 scalar;
    u32 entries; // a power of two: rows that vertices share by their hash; 0: each has its own
    u32 role;
    u32 unused;
};

struct Layer {
    u64 weights; // float [inputs][outputs]
    u64 bias;    // float [outputs]
    u32 inputs, outputs;
    u32 activation;
    u32 precision;
    float low, step; // of STEPS
};

// Physical from normalised values: value * range + min, and exp() of that if it is a logarithm.
struct Value {
    double range, min;
    u32 is_log, unused;
};

// Normalised from physical parameters: (p - min) / range.
struct Range {
    double min, range, slack;
};

struct Model {
    u64 base;                 // address of everything below
    u64 grids, lines, layers; // Grid[], Grid[], Layer[]
    u64 values, ranges;       // Value[outputs], Range[parameters]
    u64 input_bias;           // float [width]
    u32 grid_count, line_count, layer_count;
    u32 dims, parameters, outputs;
    u32 width, spatial; // of the input vector, and the part that grids reach
    u32 activation;     // of the input vector
    u32 widest;         // of the input vector and all layers
    u32 own_count;      // grids behind the first `grid_count`, of products of parameters alone
    u32 grids_change;   // some of the first `grid_count` change with a parameter
};

// How coordinates are normalised: 2 (x - min) / range - 1.
struct Axis {
    double min, range, limit; // beyond `limit` is outside
};

struct Frame {
    Axis axes[3];
    u32 fades;                // vertices outside are zero
    u32 evaluates_outside;    // else NaN
    u32 is_physical;          // values are de-normalised, parameters are physical
    u32 evaluates_parameters; // outside their ranges, at the nearest end; else NaN
};

// Where points are: coordinates in arrays, or those of a lattice.
struct Points {
    u64 axes[3];
    i64 strides[3]; // bytes
    double origin[3], spacing[3];
    u64 lattice[3]; // points per axis
    u64 first;      // of the lattice, the number of the point that counts as 0
    u32 is_lattice;
    u32 scalar;
};

// Parameters of each point.
struct Table {
    u64 data;
    i64 row_stride, column_stride;
    u32 scalar;
    u32 is_given; // else one binding holds for all points
};

// Where results go: values or, with components, derivatives.
struct Results {
    u64 data;
    i64 value_stride, component_stride;
    i64 strides[3]; // from point to point; of a lattice by axis
    u64 separate[MAX_SEPARATE];
    u32 is_separate, is_lattice;
    u32 scalar;
    u32 components; // of each value, 1 for the value itself
};

// What a model starts from for one set of parameters: addresses of device memory.
struct Binding {
    u64 inputs;       // float [spatial]
    u64 bias;         // float [outputs of the first layer]
    u64 is_nan;       // u32: results are NaN
    u64 input_slopes; // float [parameters][spatial]: change of `inputs` by each parameter
    u64 bias_slopes;  // float [parameters][outputs of the first layer]: the same of `bias`
    u64 parameters;   // double [parameters], normalised
};

// What the kernel for tensor cores has beside that.
struct Tensor {
    u64 weights; // halves: per layer [outputs, up to a multiple of 8][inputs, of 16, and 8]
    u32 bytes;   // of all weights, a multiple of 16
    u32 warp_bytes;
    u32 stride; // halves from one point to the next
    u32 unused;
};

// Arguments of `drr_query`.
struct Query {
    Model model;
    Frame frame;
    Points points;
    Table table;
    Results results;
    Binding binding;
    Tensor tensor;
    u64 count;
    u32 tile; // points that a block has at a time, a multiple of 8
    u32 unused;
};

// Arguments of `drr_gradient`.
struct Gradient {
    Query query;
    Results position, parameters; // [outputs][dims] and [outputs][parameters] of each point
    u32 wants_values, wants_position, wants_parameters;
    u32 has_input_slopes; // of the parameters; else they change the bias alone
};

// What makes a model a radiance field: layers that make colours of features and of directions, and
// where it is empty.
struct Field {
    u64 layers;   // Layer[]
    u64 cells;    // a bit for each, x fastest: whether anything may be there; without `shape`, none
    u64 blocks;   // bytes: whether anything may be in 8 x 8 x 8 of them
    u32 shape[3]; // cells per axis, x first; 0: anything may be everywhere
    u32 layer_count;
    u32 harmonics; // numbers made of the direction, in front of the features
    u32 unused;
};

// Arguments of `drr_radiance`: the query's results are a density and a colour. The model's `widest`
// counts the field's layers too.
struct Radiance {
    Query query;
    Field field;
    Points directions;
};

// Rays of a picture, from a camera or given.
struct Rays {
    double to_world[12]; // from the camera's coordinates, rows of four
    double focal[2], centre[2];
    u64 size[2];        // pixels, of a camera
    Points directions;  // of given ones; their origins are the query's points
    Points scene_depth; // numbers along one axis
    double step, near, far, stop;
    double max[3]; // upper ends of the axes
    u32 is_camera;
    u32 has_scene_depth;
    u32 along_axis; // how depths are measured
    u32 unused;
};

// Arguments of `drr_render`: the query's results are red, green, blue and opacity of each ray.
struct Render {
    Query query;
    Field field;
    Rays rays;
    Results depth;
    double background[3];
    u32 is_opaque; // colours over the background; else multiplied by opacity
    u32 has_depth;
};

// Arguments of `drr_bind`. Parameters are normalised.
struct Bind {
    Model model;
    Binding binding;
    u64 scratch; // double [2][width]
    double parameters[MAX_PARAMETERS];
    u32 is_nan, unused;
};

} // namespace drr
