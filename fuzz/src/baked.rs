//! Bytes, taken for a baked file: opened in every way, described, and asked everything.

use std::ffi::c_void;
use std::ptr::null_mut;

use drr::capi::*;
use drr::{
    Checksums, Gradients, GradientsMut, Kernel, Lattice, Model, Outside, Parameters, Points,
    Runtime, Sampler, SamplerOptions, SetValuesMut, Storage, Units, ValuesMut,
};

use crate::common::kernels;

/// Opens whatever the bytes are.
pub fn run(bytes: &[u8]) {
    let verified = open(bytes, Checksums::Verify);
    let Some(model) = open(bytes, Checksums::Skip) else {
        assert!(verified.is_none(), "refused only where checksums do not count");
        return;
    };
    look_at(&model);
    let expected = ask(model, Kernel::Scalar);
    from_file(bytes, &expected);
    describe_to_c(bytes);
    for kernel in kernels().filter(|&kernel| kernel != Kernel::Scalar) {
        ask(open(bytes, Checksums::Skip).expect("again"), kernel);
    }
}

fn open(bytes: &[u8], checksums: Checksums) -> Option<Model> {
    Model::from_bytes(bytes, checksums).map_err(|error| drop(error.to_string())).ok()
}

/// A file gives what its bytes in memory do, wherever they lie.
fn from_file(bytes: &[u8], expected: &[u64]) {
    let file = tempfile::Builder::new();
    let memory = std::path::Path::new("/dev/shm");
    let file = if memory.is_dir() { file.tempfile_in(memory) } else { file.tempfile() };
    let file = file.expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("room for a file");
    let storages = [Storage::Mapped, Storage::Copied, Storage::HugePages];
    // One for each input is enough; several would take most of the time.
    let storage = storages[bytes.len() % storages.len()];
    let model = Model::open(file.path(), storage, Checksums::Skip).expect("opened before");
    assert!(ask(model, Kernel::Scalar) == expected, "{storage:?}");
}

/// Everything that a model has.
fn look_at(model: &Model) {
    let spec = model.spec();
    spec.check().expect("checked when it was opened");
    assert!(model.file_bytes() > 0 && model.tensors() >= spec.grids.len());
    for (n, grid) in spec.grids.iter().enumerate() {
        let data = model.grid(n);
        let numbers = match data.values {
            drr::model::GridValues::F32(values) => values.len(),
            drr::model::GridValues::F16(values) => values.len(),
            drr::model::GridValues::I8(values, scaling) => {
                assert_eq!(
                    (scaling.scale.len(), scaling.zero.len()),
                    (grid.channels, grid.channels)
                );
                values.len()
            }
        };
        assert_eq!(numbers, grid.rows().expect("a size") * data.row);
    }
    for (line, n) in spec.lines.iter().zip(0..) {
        assert_eq!(model.line(n).len(), line.vertices * line.features);
    }
    for (layer, tensors) in spec.layers.iter().zip(model.layers()) {
        assert_eq!(
            tensors.rows64().map(|row| row.len()).sum::<usize>(),
            layer.inputs * layer.outputs
        );
    }
}

/// The bits of what a model gives, in every way to ask.
fn ask(model: Model, kernel: Kernel) -> Vec<u64> {
    let runtime = Runtime::new(model, kernel, 1).expect("a kernel of this machine");
    let spec = runtime.model().spec();
    let (dims, outputs, columns) = (spec.axes.len(), spec.outputs(), spec.parameters.len());
    let places = [-0.7, 0.0, 1.0, 1.3, -1.0, 0.31, f64::NAN, f64::INFINITY, f64::MIN];
    let points: Vec<f64> = (0..4 * dims).map(|n| places[n * 5 % places.len()]).collect();
    let rows: Vec<f64> = (0..4 * columns).map(|n| [0.3, 1.0, -0.2, 0.77, 0.0][n % 5]).collect();
    let mut all = Vec::new();
    for (units, outside) in [(Units::Normalized, Outside::Clamp), (Units::Physical, Outside::Zeros)]
    {
        let options = SamplerOptions { units, outside, ..Default::default() };
        let points_of = Points::packed(&points, dims).expect("whole points");
        let mut values = vec![0.0; 4 * outputs];
        let table = Parameters::packed(&rows, 4, columns).expect("whole rows");
        let out = &mut ValuesMut::packed(&mut values, outputs).expect("whole points");
        runtime.query(&table, &options, &points_of, out).expect("a query that fits the model");
        all.extend(bits(&values));

        let mut sets = vec![0.0; 4 * 4 * outputs];
        let out = &mut SetValuesMut::packed(&mut sets, 4, outputs).expect("whole sets");
        runtime.query_sets(&table, &options, &points_of, out).expect("a query that fits the model");
        let sampler = Sampler::new(&runtime, &rows[..columns], &options).expect("clamped");
        let lattice = Lattice {
            origin: [-1.1, 0.2, 0.0],
            spacing: [0.3, 0.4, -0.9],
            dims: std::array::from_fn(|axis| if axis < dims { [5, 2, 2][axis] } else { 1 }),
        };
        let mut volume = vec![0.0; lattice.points().expect("a count") * outputs];
        let out = &mut ValuesMut::packed(&mut volume, outputs).expect("whole points");
        sampler.query_lattice(&lattice, out).expect("a query that fits the model");
        all.extend(bits(&volume));

        let out = &mut ValuesMut::packed(&mut values, outputs).expect("whole points");
        sampler.query(&points_of, out).expect("a query that fits the model");
        // The library's promises: a set is a sampler, values with derivatives are values without.
        assert_eq!(bits(&sets[..4 * outputs]), bits(&values), "sets, {kernel:?}");
        assert_eq!(bits(&differentiate(&sampler, &points)), bits(&values), "gradient, {kernel:?}");
        all.extend(bits(&values));
        all.extend(look(&sampler, units));
    }
    all
}

/// The bits of some rays through a radiance field, which give the same alone and together.
fn look(sampler: &Sampler, units: Units) -> Vec<u64> {
    let spec = sampler.runtime().model().spec();
    if spec.radiance.is_none() || units == Units::Normalized {
        assert!(sampler.check_radiance().is_err());
        return Vec::new();
    }
    let at = |part: f64| spec.axes.iter().map(move |axis| axis.min + part * (axis.max - axis.min));
    let (centre, corner): (Vec<f64>, Vec<f64>) = (at(0.4).collect(), at(-0.7).collect());
    let along: Vec<f64> = centre.iter().zip(&corner).map(|(a, b)| a - b).collect();
    let origins = [&corner[..], &centre, &corner, &[f64::NAN, 0.0, f64::INFINITY]].concat();
    let directions = [&along[..], &along, &[1.0, 0.0, -0.5], &[0.0, 0.0, 1e-300]].concat();
    let diagonal = along.iter().fold(0.0, |length: f64, x| length.hypot(*x));
    // The file's own step may be a millionth of the domain.
    let step = Some(diagonal / 15.0).filter(|step| step.is_normal());
    let options = drr::RenderOptions { step, ..Default::default() };
    let [mut rgba, mut one] = [vec![0.0; 16], vec![0.0; 4]];
    let draw = |rays: std::ops::Range<usize>, rgba: &mut [f64]| {
        let [from, to] = [&origins, &directions].map(|all| &all[3 * rays.start..3 * rays.end]);
        let [from, to] = [from, to].map(|all| Points::packed(all, 3).expect("whole points"));
        let out = &mut ValuesMut::packed(rgba, 4).expect("whole pixels");
        // A direction may have become zero.
        drop(sampler.render_rays(&from, &to, &options, out, None));
    };
    draw(0..4, &mut rgba);
    for ray in 0..4 {
        draw(ray..ray + 1, &mut one);
        let is_drawn = rgba.iter().any(|&x| x != 0.0);
        assert!(!is_drawn || bits(&one) == bits(&rgba[4 * ray..][..4]), "ray {ray}");
    }
    bits(&rgba)
}

/// The bits of numbers; whatever is not a number is the same.
fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|x| if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() }).collect()
}

fn differentiate(sampler: &Sampler, points: &[f64]) -> Vec<f64> {
    let spec = sampler.runtime().model().spec();
    let (dims, outputs, columns) = (spec.axes.len(), spec.outputs(), spec.parameters.len());
    let count = points.len() / dims;
    let mut values = vec![0.0; count * outputs];
    let mut position = vec![0.0f32; count * outputs * dims];
    let mut parameters = vec![0.0; count * outputs * columns];
    let mut gradients = Gradients {
        position: GradientsMut::packed(&mut position, outputs, dims).ok(),
        parameters: GradientsMut::packed(&mut parameters, outputs, columns).ok(),
    };
    let points = Points::packed(points, dims).expect("whole points");
    let out = &mut ValuesMut::packed(&mut values, outputs).expect("whole points");
    sampler
        .query_gradient(&points, Some(out), &mut gradients)
        .expect("a query that fits the model");
    values
}

/// All that C gets to know.
fn describe_to_c(bytes: &[u8]) {
    let text = |pointer| {
        // SAFETY: a string of an open model.
        unsafe { std::ffi::CStr::from_ptr(pointer) }.to_str().expect("UTF-8").len()
    };
    let options = drr_open_options { struct_size: 16, checksums: 1, ..Default::default() };
    let mut model = null_mut();
    // SAFETY: as the header says; strings are read while the model is open.
    unsafe {
        let data: *const c_void = bytes.as_ptr().cast();
        let status = drr_model_open_memory(data, bytes.len() as u64, &options, &mut model);
        assert_eq!(status, drr_status::DRR_OK);
        let mut info: drr_model_info = std::mem::zeroed();
        info.struct_size = size_of::<drr_model_info>() as u32;
        assert_eq!(drr_model_get_info(model, &mut info), drr_status::DRR_OK);
        assert!(text(info.kernel) > 0 && text(info.spec_json) > 0);
        type Get = unsafe extern "C" fn(*const drr_model, u32, *mut drr_range_info) -> drr_status;
        let all: [(Get, u32); 3] = [
            (drr_model_get_axis, info.dims),
            (drr_model_get_parameter, info.parameters),
            (drr_model_get_value, info.outputs),
        ];
        for (get, count) in all {
            for n in 0..count {
                let mut range: drr_range_info = std::mem::zeroed();
                range.struct_size = size_of::<drr_range_info>() as u32;
                assert_eq!(get(model, n, &mut range), drr_status::DRR_OK);
                text(range.name);
                text(range.unit);
                assert!(range.min <= range.max);
            }
        }
        drr_model_close(model);
    }
}
