//! Queries in any layout, compared with the same points asked for one by one.

use std::ffi::c_void;
use std::ptr::{null, null_mut};

use arbitrary::Arbitrary;
use drr::capi::*;
use drr::model::spec::Spec;

use super::call::{Call, Kind};
use super::layout::{Place, Results, Table};
use super::memory::{Scalar, Size};
use super::numbers::Numbers;
use super::session::{Options, Session};

/// A query.
#[derive(Arbitrary, Debug)]
pub struct Query {
    kind: Kind,
    slot: bool,
    count: u8,
    sets: u8,
    dims: [u8; 3],
    numbers: Numbers,
    rows: Numbers,
    points: Place,
    table: Place,
    values: Place,
    gradients: [Place; 2],
    /// Which results are wanted, of queries for derivatives.
    wanted: u8,
    options: Option<Options>,
    /// Bytes by which structs are longer than the library's.
    longer: [u8; 3],
    mistake: Option<u8>,
}

/// Numbers of points around those of a tile, and few.
const COUNTS: [usize; 12] = [1, 0, 2, 3, 5, 8, 9, 47, 48, 49, 97, 130];

const SETS: [usize; 8] = [1, 2, 0, 3, 5, 8, 49, 66];

/// What a point gives: its values and derivatives, or why it gives none.
type Answer = Result<[Vec<f64>; 3], drr_status>;

impl Query {
    pub fn run(&self, session: &mut Session) {
        let opened = session.opened();
        let (spec, kind) = (opened.spec, self.kind);
        let sampler = session.sampler(self.slot);
        let options = match kind.has_table() {
            true if kind == Kind::EachPacked => None,
            true => self.options.clone(),
            false => session.options(self.slot),
        };
        let physical = options.as_ref().is_none_or(Options::is_physical);
        let mut points = self.points(spec, physical);
        let lattice = kind.is_lattice().then(|| self.lattice(spec, physical));
        let shape = match &lattice {
            Some(lattice) => lattice.dims.map(|n| n as usize),
            None => [points.rows.len(), 1, 1],
        };
        let sets = if kind == Kind::Sets { SETS[usize::from(self.sets) % SETS.len()] } else { 1 };
        let rows = if kind == Kind::Sets { sets } else { points.rows.len() };
        let number = |row, column| self.rows.parameter(spec, physical, row, column);
        let place = self.place(&self.table, points.scalar);
        let mut table = place.table([rows, spec.parameters.len()], false, number);

        let outputs = spec.outputs();
        let components = [1, spec.axes.len(), spec.parameters.len()];
        let places = [&self.values, &self.gradients[0], &self.gradients[1]];
        let mut results: [Option<Results>; 3] = std::array::from_fn(|n| {
            let is_wanted = n == 0 && !kind.has_gradients()
                || kind.has_gradients() && self.wanted >> n & 1 == 1;
            let [x, y, z] = shape;
            let shape = [x, y, z, outputs, components[n], sets];
            let place = self.place(places[n], points.scalar);
            is_wanted.then(|| place.results(shape, kind.is_lattice()))
        });
        let mut call = Call {
            kind,
            model: opened.model,
            sampler,
            points: (!kind.is_lattice()).then(|| c_points(&mut points)),
            lattice,
            table: kind.has_table().then(|| c_table(&mut table)),
            options: options.as_ref().filter(|_| kind.has_table()).map(Options::to_c),
            values: results[0].as_mut().map(c_values),
            gradients: [1, 2].map(|n| results[n].as_mut().map(c_gradients)),
            set_stride: results[0].as_ref().map_or(0, |values| values.strides[5]),
            is_double: points.scalar == Scalar::F64,
            sizes: self.longer.map(|more| Size::Longer(more % 3 * 8)),
        };
        let count = if sets == 0 { 0 } else { shape.iter().product::<usize>() };
        if let Some(n) = self.mistake
            && call.spoil(n, count, outputs)
        {
            assert_eq!(call.run(), drr_status::DRR_ERROR_INVALID_ARGUMENT, "mistake {}", n % 24);
            results.into_iter().flatten().for_each(|results| results.check(None, "a mistake"));
            return;
        }
        let asker = Asker { spec, model: opened.model, sampler, options: options.as_ref() };
        let status = call.run();
        let expected = match (&call.lattice, kind) {
            (Some(lattice), Kind::Lattice) => asker.lattice(lattice),
            (Some(lattice), _) => together(&coordinates(lattice), |x, _| asker.gradient(x)),
            (None, Kind::Sets) => asker.sets(&points, &table),
            (None, Kind::Each | Kind::EachPacked) => {
                together(&points.rows, |x, i| asker.each(x, &table.rows[i]))
            }
            (None, kind) if kind.has_gradients() => {
                together(&points.rows, |x, _| asker.gradient(x))
            }
            (None, _) => together(&points.rows, |x, _| asker.point(x)),
        };
        match expected {
            Ok(expected) => {
                assert_eq!(status, drr_status::DRR_OK, "{kind:?}");
                let all =
                    results.into_iter().zip(&expected).zip(["values", "position", "parameters"]);
                for ((results, expected), what) in all {
                    results.into_iter().for_each(|results| results.check(Some(expected), what));
                }
            }
            Err(expected) => {
                assert_eq!(status, expected, "{kind:?}");
                results.into_iter().flatten().for_each(|results| results.check(None, "a failure"));
            }
        }
    }

    /// Where something is: in any layout, unless the function knows only one.
    fn place(&self, wished: &Place, scalar: Scalar) -> Place {
        if self.kind.is_packed() { Place::packed(scalar) } else { wished.clone() }
    }

    fn points(&self, spec: &Spec, physical: bool) -> Table {
        let count = COUNTS[usize::from(self.count) % COUNTS.len()];
        let count = if self.kind.is_lattice() { 0 } else { count };
        let scalar = if self.points.scalar() == Scalar::F64 { Scalar::F64 } else { Scalar::F32 };
        let number = |i, axis| self.numbers.coordinate(spec, physical, i, axis);
        self.place(&self.points, scalar).table([count, spec.axes.len()], true, number)
    }

    fn lattice(&self, spec: &Spec, physical: bool) -> drr_lattice {
        let mut lattice = drr_lattice {
            struct_size: 0,
            reserved: 0,
            dims: [1; 3],
            origin: [f64::NAN; 3],
            spacing: [f64::NAN; 3],
        };
        for (axis, longest) in (0..spec.axes.len()).zip([60, 5, 4]) {
            lattice.dims[axis] = (self.dims[axis] % longest).into();
            let ends = [0, 1].map(|i| self.numbers.coordinate(spec, physical, i, axis));
            let [from, to] = ends.map(|x| if x.is_finite() { x } else { 0.3 });
            lattice.origin[axis] = from;
            let spacing = (to - from) / lattice.dims[axis].max(1) as f64;
            lattice.spacing[axis] = if spacing.is_finite() { spacing } else { 1e300 };
        }
        lattice
    }
}

/// Who is asked for points one by one.
struct Asker<'a> {
    spec: &'a Spec,
    model: *const drr_model,
    sampler: *const drr_sampler,
    options: Option<&'a Options>,
}

impl Asker<'_> {
    fn point(&self, x: &[f64]) -> Answer {
        let mut values = vec![0.0; self.spec.outputs()];
        // SAFETY: arrays of the model's sizes.
        let status =
            unsafe { drr_sampler_query_f64(self.sampler, 1, x.as_ptr(), values.as_mut_ptr()) };
        answer(status, [values, Vec::new(), Vec::new()])
    }

    fn gradient(&self, x: &[f64]) -> Answer {
        let outputs = self.spec.outputs();
        let [mut values, mut position, mut parameters] =
            [1, self.spec.axes.len(), self.spec.parameters.len()].map(|n| vec![0.0; outputs * n]);
        // SAFETY: arrays of the model's sizes.
        let status = unsafe {
            drr_sampler_query_gradient_f64(
                self.sampler,
                1,
                x.as_ptr(),
                values.as_mut_ptr(),
                position.as_mut_ptr(),
                parameters.as_mut_ptr(),
            )
        };
        if let (Ok([plain, ..]), drr_status::DRR_OK) = (self.point(x), status) {
            let is_same =
                |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
            assert!(plain.iter().zip(&values).all(is_same), "{plain:?} {values:?} at {x:?}");
        }
        answer(status, [values, position, parameters])
    }

    fn each(&self, x: &[f64], row: &[f64]) -> Answer {
        let mut values = vec![0.0; self.spec.outputs()];
        let options = self.options.map(Options::to_c);
        let axis: [*const c_void; 3] =
            std::array::from_fn(|n| x.get(n).map_or(null(), |x| (&raw const *x).cast()));
        let points = drr_points { struct_size: 64, scalar: 1, count: 1, axis, stride: [0; 3] };
        let table = drr_parameters {
            struct_size: 40,
            scalar: 1,
            count: 1,
            data: row.as_ptr().cast(),
            row_stride: 0,
            parameter_stride: 0,
        };
        let out = drr_values {
            struct_size: 56,
            scalar: 1,
            data: values.as_mut_ptr().cast(),
            point_stride: 0,
            value_stride: 0,
            row_stride: 0,
            plane_stride: 0,
            separate: null(),
        };
        let options = options.as_ref().map_or(null(), |options| &raw const *options);
        // SAFETY: arrays of the model's sizes.
        let status = unsafe { drr_model_query(self.model, &table, options, &points, &out) };
        answer(status, [values, Vec::new(), Vec::new()])
    }

    /// A sampler for each set.
    fn sets(&self, points: &Table, table: &Table) -> Answer {
        let mut all = Vec::new();
        let options = self.options.map(Options::to_c);
        let options = options.as_ref().map_or(null(), |options| &raw const *options);
        let mut failed = None;
        for row in &table.rows {
            let mut sampler = null_mut();
            // SAFETY: as many parameters as the model has.
            let status = unsafe {
                drr_sampler_create(
                    self.model,
                    row.as_ptr(),
                    row.len() as u64,
                    options,
                    &mut sampler,
                )
            };
            let asker = Asker { sampler, ..*self };
            let found = match answer(status, Default::default()) {
                Ok(_) => together(&points.rows, |x, _| asker.point(x)),
                Err(status) => Err(status),
            };
            match found {
                Ok([values, ..]) => all.extend(values),
                Err(status) => failed = failed.or(Some(status)),
            }
            // SAFETY: made above, used by nobody else.
            unsafe { drr_sampler_free(sampler) };
        }
        failed.map_or(Ok([all, Vec::new(), Vec::new()]), Err)
    }

    /// All points of a lattice in one array; next to what they give one by one.
    fn lattice(&self, lattice: &drr_lattice) -> Answer {
        let points = coordinates(lattice);
        let mut values = vec![0.0; points.len() * self.spec.outputs()];
        let out = drr_values {
            struct_size: 56,
            scalar: 1,
            data: values.as_mut_ptr().cast(),
            point_stride: 0,
            value_stride: 0,
            row_stride: 0,
            plane_stride: 0,
            separate: null(),
        };
        let lattice = drr_lattice { struct_size: 80, ..*lattice };
        // SAFETY: an array of as many numbers.
        let status = unsafe { drr_sampler_query_lattice(self.sampler, &lattice, &out) };
        let one_by_one = together(&points, |x, _| self.point(x));
        assert_eq!(one_by_one.as_ref().err(), (status != drr_status::DRR_OK).then_some(&status));
        if let Ok([one_by_one, ..]) = one_by_one
            && !crate::common::random::has_steps(self.spec)
        {
            let finite = one_by_one.iter().filter(|x| x.is_finite());
            let scale = finite.fold(1.0f64, |scale, x| scale.max(x.abs()));
            for (&found, &expected) in values.iter().zip(&one_by_one) {
                let is_close = (found - expected).abs() <= 1e-5 * scale || found == expected;
                assert!(is_close || found.is_nan() && expected.is_nan(), "{found} {expected}");
            }
        }
        answer(status, [values, Vec::new(), Vec::new()])
    }
}

fn answer(status: drr_status, values: [Vec<f64>; 3]) -> Answer {
    if status == drr_status::DRR_OK { Ok(values) } else { Err(status) }
}

/// The answers of all points, or the first failure.
fn together(points: &[Vec<f64>], ask: impl Fn(&[f64], usize) -> Answer) -> Answer {
    let mut all: [Vec<f64>; 3] = Default::default();
    for (i, x) in points.iter().enumerate() {
        all.iter_mut().zip(ask(x, i)?).for_each(|(all, more)| all.extend(more));
    }
    Ok(all)
}

/// The points of a lattice, x fastest.
fn coordinates(lattice: &drr_lattice) -> Vec<Vec<f64>> {
    let [nx, ny, nz] = lattice.dims;
    let axis = |axis: usize, i: u64| lattice.origin[axis] + i as f64 * lattice.spacing[axis];
    let mut points = Vec::new();
    for z in 0..nz {
        for y in 0..ny {
            points.extend((0..nx).map(|x| vec![axis(0, x), axis(1, y), axis(2, z)]));
        }
    }
    points
}

fn c_points(table: &mut Table) -> drr_points {
    let mut points = drr_points {
        struct_size: 0,
        scalar: table.scalar as u32,
        count: table.rows.len() as u64,
        axis: [null(); 3],
        stride: [0; 3],
    };
    for (n, &(address, stride)) in table.columns.iter().enumerate() {
        points.axis[n] = address.cast();
        points.stride[n] = stride;
    }
    points
}

fn c_table(table: &mut Table) -> drr_parameters {
    let (data, row_stride) =
        table.columns.first().map_or((null(), 0), |&(at, by)| (at.cast_const(), by));
    drr_parameters {
        struct_size: 0,
        scalar: table.scalar as u32,
        count: table.rows.len() as u64,
        data: data.cast(),
        row_stride,
        parameter_stride: table.column_stride,
    }
}

fn c_values(results: &mut Results) -> drr_values {
    let [point_stride, row_stride, plane_stride, value_stride, ..] = results.strides;
    drr_values {
        struct_size: 0,
        scalar: results.scalar as u32,
        data: results.data.cast(),
        point_stride,
        value_stride,
        row_stride,
        plane_stride,
        separate: results.separate(),
    }
}

fn c_gradients(results: &mut Results) -> drr_gradients {
    let [point_stride, row_stride, plane_stride, value_stride, component_stride, _] =
        results.strides;
    drr_gradients {
        struct_size: 0,
        scalar: results.scalar as u32,
        data: results.data.cast(),
        point_stride,
        value_stride,
        component_stride,
        row_stride,
        plane_stride,
        separate: results.separate(),
    }
}
