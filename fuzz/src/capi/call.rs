//! One query as C hands it over: structs of exact size, and mistakes in them.

use std::ptr::{null, null_mut};

use drr::capi::*;

use super::memory::{Size, given};

/// What is asked.
#[derive(arbitrary::Arbitrary, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Points,
    PointsPacked,
    Lattice,
    Gradient,
    GradientPacked,
    LatticeGradient,
    Each,
    EachPacked,
    Sets,
}

impl Kind {
    pub fn is_lattice(self) -> bool {
        matches!(self, Self::Lattice | Self::LatticeGradient)
    }

    pub fn has_gradients(self) -> bool {
        matches!(self, Self::Gradient | Self::GradientPacked | Self::LatticeGradient)
    }

    pub fn is_packed(self) -> bool {
        matches!(self, Self::PointsPacked | Self::GradientPacked | Self::EachPacked)
    }

    /// Whether the model is asked, with parameters that come along.
    pub fn has_table(self) -> bool {
        matches!(self, Self::Each | Self::EachPacked | Self::Sets)
    }
}

/// The arguments of all kinds.
pub struct Call {
    pub kind: Kind,
    pub model: *const drr_model,
    pub sampler: *const drr_sampler,
    pub points: Option<drr_points>,
    pub lattice: Option<drr_lattice>,
    pub table: Option<drr_parameters>,
    pub options: Option<drr_sampler_options>,
    pub values: Option<drr_values>,
    pub gradients: [Option<drr_gradients>; 2],
    pub set_stride: i64,
    /// Of the packed kinds: 64 bits.
    pub is_double: bool,
    /// Of the structs of points (or the lattice), parameters and values.
    pub sizes: [Size; 3],
}

impl Call {
    /// Makes the call.
    pub fn run(&self) -> drr_status {
        macro_rules! pass {
            ($given:expr, $size:expr) => {
                $given.as_ref().map(|given_by_caller| given(given_by_caller, $size))
            };
        }
        let exact = Size::Longer(0);
        let [of_points, of_table, of_values] = self.sizes;
        let mut points = pass!(self.points, of_points);
        let mut lattice = pass!(self.lattice, of_points);
        let mut table = pass!(self.table, of_table);
        let mut options = pass!(self.options, exact);
        let mut values = pass!(self.values, of_values);
        let mut gradients = [pass!(self.gradients[0], of_values), pass!(self.gradients[1], exact)];
        macro_rules! to {
            ($block:expr) => {
                $block.as_mut().map_or(null(), |block| block.at(0).cast_const().cast())
            };
        }
        let [position, parameters] = &mut gradients;
        let (model, sampler) = (self.model, self.sampler);
        // SAFETY: structs and arrays are as the header asks for, or wrong in a way that it says is
        // found out.
        unsafe {
            match self.kind {
                Kind::Points => drr_sampler_query(sampler, to!(points), to!(values)),
                Kind::Lattice => drr_sampler_query_lattice(sampler, to!(lattice), to!(values)),
                Kind::Gradient => drr_sampler_query_gradient(
                    sampler,
                    to!(points),
                    to!(values),
                    to!(position),
                    to!(parameters),
                ),
                Kind::LatticeGradient => drr_sampler_query_lattice_gradient(
                    sampler,
                    to!(lattice),
                    to!(values),
                    to!(position),
                    to!(parameters),
                ),
                Kind::Each => {
                    drr_model_query(model, to!(table), to!(options), to!(points), to!(values))
                }
                Kind::Sets => drr_model_query_sets(
                    model,
                    to!(table),
                    to!(options),
                    to!(points),
                    to!(values),
                    self.set_stride,
                ),
                Kind::PointsPacked | Kind::GradientPacked | Kind::EachPacked => self.run_packed(),
            }
        }
    }

    /// # Safety
    /// As for the functions that are called.
    unsafe fn run_packed(&self) -> drr_status {
        let points = self.points.as_ref();
        let count = points.map_or(0, |points| points.count);
        let points = points.map_or(null(), |points| points.axis[0]);
        let table = self.table.as_ref().map_or(null(), |table| table.data);
        let values = self.values.as_ref().map_or(null_mut(), |values| values.data);
        let [position, parameters] =
            self.gradients.map(|given| given.map_or(null_mut(), |given| given.data));
        macro_rules! call {
            ($points:ident, $gradient:ident, $each:ident) => {
                match self.kind {
                    Kind::PointsPacked => {
                        $points(self.sampler, count, points.cast(), values.cast())
                    }
                    Kind::EachPacked => {
                        $each(self.model, count, points.cast(), table.cast(), values.cast())
                    }
                    _ => $gradient(
                        self.sampler,
                        count,
                        points.cast(),
                        values.cast(),
                        position.cast(),
                        parameters.cast(),
                    ),
                }
            };
        }
        // SAFETY: the caller's promise.
        unsafe {
            match self.is_double {
                true => call!(
                    drr_sampler_query_f64,
                    drr_sampler_query_gradient_f64,
                    drr_model_query_f64
                ),
                false => call!(
                    drr_sampler_query_f32,
                    drr_sampler_query_gradient_f32,
                    drr_model_query_f32
                ),
            }
        }
    }

    /// Makes mistake number `n`, if it is one here: it must be found before any array is touched.
    /// `points` and `outputs` are how many there are.
    pub fn spoil(&mut self, n: u8, points: usize, outputs: usize) -> bool {
        const TOO_MANY: u64 = 1 << 62;
        let has_struct = !self.kind.is_packed();
        let is_lattice = self.kind.is_lattice();
        let Self { values, points: given, table, lattice, .. } = self;
        match (n % 24, values, given, table, lattice) {
            (0, ..) => (self.model, self.sampler) = (null(), null()),
            // Handles of the other type.
            (1, ..) => (self.model, self.sampler) = (self.sampler.cast(), self.model.cast()),
            (2, _, given @ Some(_), ..) if has_struct => *given = None,
            (2, _, _, _, lattice @ Some(_)) => *lattice = None,
            (3, values @ Some(_), ..) if has_struct && !self.kind.has_gradients() => *values = None,
            (4, Some(values), ..) if points > 0 && values.separate.is_null() => {
                // Without values, gradients are fine.
                if self.kind == Kind::GradientPacked {
                    return false;
                }
                values.data = null_mut();
            }
            (5, _, Some(given), ..) if points > 0 => given.axis[0] = null(),
            (6, ..) if has_struct => self.sizes[0] = Size::Wrong(0),
            (7, Some(_), ..) if has_struct => self.sizes[2] = Size::Wrong(55),
            (8, Some(_), ..) if has_struct => self.sizes[2] = Size::Unknown,
            (9, ..) if has_struct => self.sizes[0] = Size::Unknown,
            (10, Some(values), ..) if has_struct => values.scalar = 3,
            (11, _, Some(given), ..) if has_struct => given.scalar = 2,
            (12, Some(values), ..) if has_struct && points > 0 && !values.separate.is_null() => {
                values.value_stride = 8;
            }
            (13, Some(_), Some(given), ..) if points > 0 => given.count = TOO_MANY,
            (13, Some(_), _, _, Some(lattice)) => lattice.dims = [TOO_MANY, 1, 1],
            (14, Some(_), Some(given), ..) if points > 0 => given.count = u64::MAX,
            (14, _, _, _, Some(lattice)) if points > 0 => lattice.dims[0] = 1 << 63,
            (15, Some(values), ..) if has_struct && !is_lattice => values.row_stride = 8,
            (16, Some(values), ..) if has_struct && points > 0 => values.point_stride = i64::MIN,
            (17, Some(values), ..) if has_struct && points > 1 && !is_lattice => {
                values.point_stride = i64::MAX;
            }
            (18, Some(values), ..) if points > 0 && outputs > 1 && values.separate.is_null() => {
                // Gaps between the values of a point, none between points.
                if !has_struct {
                    return false;
                }
                values.point_stride = 0;
                values.value_stride = 24;
            }
            (19, _, _, Some(table), _) if self.kind == Kind::Each => table.count += 1,
            (20, _, _, Some(table), _) if has_struct => {
                (table.row_stride, table.parameter_stride) = (0, 24);
            }
            (21, _, _, _, Some(lattice)) => lattice.origin[0] = f64::NAN,
            (22, ..) if matches!(self.kind, Kind::Each | Kind::Sets) => {
                let options = self.options.get_or_insert_default();
                options.outside_parameters = 1;
            }
            (23, _, Some(given), ..) if self.kind.is_packed() && points > 0 => {
                given.axis[0] = given.axis[0].wrapping_byte_add(1);
            }
            _ => return false,
        }
        true
    }
}
