//! What kernels are given: the structs of `kernels/arguments.h`, field by field. A test compares
//! the layouts.

#![allow(missing_docs)]

/// Results that can go to arrays of their own.
pub const MAX_SEPARATE: usize = 32;

/// Parameters that can be bound.
pub const MAX_PARAMETERS: usize = 128;

/// `Scalar`: types of numbers; 8 bits in grids only.
pub const F32: u32 = 0;
pub const F64: u32 = 1;
pub const F16: u32 = 2;
pub const I8: u32 = 3;

/// `Precision`: what inputs of a layer are rounded to.
pub const PLAIN: u32 = 0;
pub const BF16: u32 = 1;
pub const STEPS: u32 = 2;

/// `Role`: what becomes of a grid's features.
pub const ALONE: u32 = 0;
pub const FIRST: u32 = 1;
pub const BETWEEN: u32 = 2;
pub const LAST: u32 = 3;

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Grid {
    pub data: u64,
    pub scale: u64,
    pub zero: u64,
    pub axes: [u32; 3],
    pub sizes: [u32; 3],
    pub dims: u32,
    pub channels: u32,
    pub row: u32,
    pub offset: u32,
    pub scalar: u32,
    pub entries: u32,
    pub role: u32,
    pub unused: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Layer {
    pub weights: u64,
    pub bias: u64,
    pub inputs: u32,
    pub outputs: u32,
    pub activation: u32,
    pub precision: u32,
    pub low: f32,
    pub step: f32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Value {
    pub range: f64,
    pub min: f64,
    pub is_log: u32,
    pub unused: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Range {
    pub min: f64,
    pub range: f64,
    pub slack: f64,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Model {
    pub base: u64,
    pub grids: u64,
    pub lines: u64,
    pub layers: u64,
    pub values: u64,
    pub ranges: u64,
    pub input_bias: u64,
    pub grid_count: u32,
    pub line_count: u32,
    pub layer_count: u32,
    pub dims: u32,
    pub parameters: u32,
    pub outputs: u32,
    pub width: u32,
    pub spatial: u32,
    pub activation: u32,
    pub widest: u32,
    pub own_count: u32,
    pub grids_change: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Axis {
    pub min: f64,
    pub range: f64,
    pub limit: f64,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Frame {
    pub axes: [Axis; 3],
    pub fades: u32,
    pub evaluates_outside: u32,
    pub is_physical: u32,
    pub evaluates_parameters: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Points {
    pub axes: [u64; 3],
    pub strides: [i64; 3],
    pub origin: [f64; 3],
    pub spacing: [f64; 3],
    pub lattice: [u64; 3],
    pub first: u64,
    pub is_lattice: u32,
    pub scalar: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Table {
    pub data: u64,
    pub row_stride: i64,
    pub column_stride: i64,
    pub scalar: u32,
    pub is_given: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Results {
    pub data: u64,
    pub value_stride: i64,
    pub component_stride: i64,
    pub strides: [i64; 3],
    pub separate: [u64; MAX_SEPARATE],
    pub is_separate: u32,
    pub is_lattice: u32,
    pub scalar: u32,
    pub components: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Binding {
    pub inputs: u64,
    pub bias: u64,
    pub is_nan: u64,
    pub input_slopes: u64,
    pub bias_slopes: u64,
    pub parameters: u64,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Tensor {
    pub weights: u64,
    pub bytes: u32,
    pub warp_bytes: u32,
    pub stride: u32,
    pub unused: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Query {
    pub model: Model,
    pub frame: Frame,
    pub points: Points,
    pub table: Table,
    pub results: Results,
    pub binding: Binding,
    pub tensor: Tensor,
    pub count: u64,
    pub tile: u32,
    pub unused: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Gradient {
    pub query: Query,
    pub position: Results,
    pub parameters: Results,
    pub wants_values: u32,
    pub wants_position: u32,
    pub wants_parameters: u32,
    pub has_input_slopes: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Field {
    pub layers: u64,
    pub cells: u64,
    pub blocks: u64,
    pub shape: [u32; 3],
    pub layer_count: u32,
    pub harmonics: u32,
    pub unused: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Radiance {
    pub query: Query,
    pub field: Field,
    pub directions: Points,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Rays {
    pub to_world: [f64; 12],
    pub focal: [f64; 2],
    pub centre: [f64; 2],
    pub size: [u64; 2],
    pub directions: Points,
    pub scene_depth: Points,
    pub step: f64,
    pub near: f64,
    pub far: f64,
    pub stop: f64,
    pub max: [f64; 3],
    pub is_camera: u32,
    pub has_scene_depth: u32,
    pub along_axis: u32,
    pub unused: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Render {
    pub query: Query,
    pub field: Field,
    pub rays: Rays,
    pub depth: Results,
    pub background: [f64; 3],
    pub is_opaque: u32,
    pub has_depth: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Bind {
    pub model: Model,
    pub binding: Binding,
    pub scratch: u64,
    pub parameters: [f64; MAX_PARAMETERS],
    pub is_nan: u32,
    pub unused: u32,
}

/// Size and place of the last field of each struct, in the order of `arguments.h`.
pub fn layouts() -> Vec<[usize; 2]> {
    macro_rules! layouts {
        ($($name:ident.$last:ident),*) => {
            vec![$([size_of::<$name>(), std::mem::offset_of!($name, $last)]),*]
        };
    }
    layouts![
        Grid.role,
        Layer.step,
        Value.is_log,
        Range.slack,
        Model.grids_change,
        Axis.limit,
        Frame.evaluates_parameters,
        Points.scalar,
        Table.is_given,
        Results.components,
        Binding.parameters,
        Tensor.stride,
        Query.tile,
        Gradient.has_input_slopes,
        Field.harmonics,
        Radiance.directions,
        Rays.along_axis,
        Render.has_depth,
        Bind.is_nan
    ]
}
