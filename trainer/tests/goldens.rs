//! The outputs of the reference implementation are reproduced: by the model in libtorch, by baked
//! files through the C ABI, and by the program's own verbs.

mod common;

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{null, null_mut};

use common::{Golden, drr_train_ok, hidden, worst};
use drr::capi::*;
use drr::model::GridPrecision;
use drr_train::bake::{self, Description, Fold, Options};
use drr_train::data::npy;
use drr_train::models::frozen::Frozen;
use drr_train::models::network::Encoded;
use drr_train::models::{Hdinr, Parameters};
use tch::{Device, Kind, Tensor};

const F32: f64 = 1e-5;
const F16: f64 = 2e-3;

#[test]
fn the_model_in_libtorch_agrees() {
    for golden in Golden::all("hdinr_") {
        let load = |kind| {
            let parameters = Parameters::from_checkpoint(&golden.weights(), Device::Cpu, kind);
            Hdinr::build(golden.hdinr(), parameters.expect("weights")).expect("model")
        };
        for (kind, tolerance) in [(Kind::Double, 1e-9), (Kind::Float, golden.tolerance(F32))] {
            for (x, y) in [("x", "y64"), ("x_outside", "y64_outside")] {
                let conditions = golden.io["cond"].to_kind(kind);
                let y_ours = load(kind).forward(&golden.io[x].to_kind(Kind::Double), &conditions);
                let flat = y_ours.to_kind(Kind::Double).contiguous().view(-1);
                let ours = Vec::<f64>::try_from(&flat).expect("numbers");
                let error = worst(&ours, &golden.numbers(y));
                assert!(
                    error <= tolerance,
                    "{} {kind:?} {y}: {error:e} > {tolerance:e}",
                    golden.name
                );
            }
        }
    }
}

#[test]
fn sharing_points_between_members_changes_nothing() {
    for golden in Golden::all("hdinr_") {
        let parameters = Parameters::from_checkpoint(&golden.weights(), Device::Cpu, Kind::Double)
            .expect("weights");
        let model = Hdinr::build(golden.hdinr(), parameters).expect("model");
        let points = golden.io["x"].select(0, 0).to_kind(Kind::Double);
        let conditions = golden.io["cond"].to_kind(Kind::Double);
        let shared = model.forward(&points, &conditions);
        let copies = points.unsqueeze(0).repeat([conditions.size()[0], 1, 1]);
        let separate = model.forward(&copies, &conditions);
        assert!((shared - separate).abs().max().double_value(&[]) < 1e-12, "{}", golden.name);
    }
}

/// Refined before it is asked, it gives the same.
#[test]
fn a_frozen_model_agrees() {
    for golden in Golden::all("hdinr_") {
        let parameters = Parameters::from_checkpoint(&golden.weights(), Device::Cpu, Kind::Double)
            .expect("weights");
        let model = Hdinr::build(golden.hdinr(), parameters).expect("model");
        for x in ["x", "x_outside"] {
            let points = golden.io[x].select(0, 0).to_kind(Kind::Double);
            let conditions = golden.io["cond"].narrow(0, 0, 1).to_kind(Kind::Double);
            let frozen =
                tch::no_grad(|| Frozen::new(Encoded::Hdinr(&model)).forward(&points, &conditions));
            let error = (frozen - model.forward(&points, &conditions)).abs().max();
            assert!(error.double_value(&[]) < 1e-9, "{} {x}", golden.name);
        }
    }
}

#[test]
fn refined_vertices_and_lines_agree() {
    for golden in Golden::all("hdinr_") {
        let parameters = Parameters::from_checkpoint(&golden.weights(), Device::Cpu, Kind::Double)
            .expect("weights");
        let model = Hdinr::build(golden.hdinr(), parameters).expect("model");
        if let Some(expected) = golden.io.get("refined_grid") {
            let part = &model.encoder.parts()[0];
            let vertices: usize = part.shape.iter().product();
            let all = Tensor::arange(vertices as i64, (Kind::Int64, Device::Cpu));
            let ours = part.vertex_features(&all).transpose(0, 1);
            let error = (ours.reshape(expected.size()) - expected).abs().max().double_value(&[]);
            assert!(error < 1e-4, "{}: refined grid differs by {error:e}", golden.name);
        }
        if let Some(expected) = golden.io.get("refined_lines") {
            for line in model.lines.sampled() {
                let row = expected.select(0, line.parameter as i64);
                let error = (line.features - row).abs().max().double_value(&[]);
                assert!(
                    error < 1e-4,
                    "{}: line {} differs by {error:e}",
                    golden.name,
                    line.parameter
                );
            }
        }
    }
}

#[test]
fn baked_files_agree_through_the_c_abi() {
    let folder = tempfile::tempdir().expect("folder");
    for golden in Golden::all("hdinr_").into_iter().chain(Golden::all("drr_")) {
        let description = Description::of_config(&golden.config);
        let trained = bake::load(&golden.config, &golden.weights(), description);
        let trained = trained.expect("weights");
        // An encoder alone has no layer to fold.
        let folds =
            if golden.name.starts_with("drr_") { &[Fold::Off][..] } else { &[Fold::Off, Fold::On] };
        let precisions = [(GridPrecision::F32, F32), (GridPrecision::F16, F16)];
        for (&fold, (grid, relative)) in
            folds.iter().flat_map(|fold| precisions.map(|precision| (fold, precision)))
        {
            let path = folder.path().join("baked");
            let options = Options { fold, grid, ..Options::EXACT };
            let outcome = bake::bake(&*trained, &options, None, &path, &hidden).expect("bake");
            assert_eq!(outcome.folded, fold == Fold::On);
            let check = |x: &str, y: &str, outside: drr_outside| {
                let ours = query_by_c_abi(&golden, &path, x, outside);
                let error = worst(&ours, &golden.numbers(y));
                let tolerance = golden.tolerance(relative);
                assert!(
                    error <= tolerance,
                    "{} {} {fold:?} {y}: {error:e} > {tolerance:e}",
                    golden.name,
                    grid.name()
                );
            };
            check("x", "y64", drr_outside::DRR_OUTSIDE_CLAMP);
            check("x", "y64", drr_outside::DRR_OUTSIDE_ERROR);
            check("x_outside", "y64_outside", drr_outside::DRR_OUTSIDE_ZEROS);
        }
    }
}

#[test]
fn the_program_bakes_and_queries_them() {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    for golden in Golden::all("hdinr_").into_iter().chain(Golden::all("drr_")) {
        for (dtype, relative) in [("f32", F32), ("f16", F16)] {
            let (baked, points, table, out) =
                (at("baked.drr.safetensors"), at("points.npy"), at("params.npy"), at("out.npy"));
            let config = golden.folder.join("config.yaml");
            let weights = golden.weights();
            drr_train_ok(&[
                "bake",
                "--config",
                text(&config),
                "--weights",
                text(&weights),
                "--grid",
                dtype,
                "-o",
                &baked,
            ]);
            drr_train_ok(&["validate", &baked]);
            let size = golden.io["x"].size();
            let (sets, count, dims) = match size[..] {
                [sets, count, dims] => (sets as usize, count as usize, dims as usize),
                _ => (1, size[0] as usize, size[1] as usize),
            };
            let (x, y) = (golden.numbers("x"), golden.numbers("y64"));
            let outputs = y.len() / (sets * count);
            for set in 0..sets {
                // Every set has points of its own, so each is a call of its own.
                let x = &x[set * count * dims..][..count * dims];
                npy::write(Path::new(&points), &[count, dims], x).expect("points");
                let mut arguments =
                    vec!["query", &baked, "--points", &points, "--normalized", "-o", &out];
                if let Some(cond) = golden.io.get("cond") {
                    let columns = cond.size()[1] as usize;
                    let row = &golden.numbers("cond")[set * columns..][..columns];
                    npy::write(Path::new(&table), &[1, columns], row).expect("table");
                    arguments.extend(["--params-npy", &table]);
                }
                drr_train_ok(&arguments);
                let result = npy::read::<f64>(Path::new(&out)).expect("result");
                assert_eq!(result.shape, [1, count, outputs]);
                let expected = &y[set * count * outputs..][..count * outputs];
                let error = worst(&result.data, expected);
                let tolerance = golden.tolerance(relative);
                assert!(
                    error <= tolerance,
                    "{} {dtype} set {set}: {error:e} > {tolerance:e}",
                    golden.name
                );
            }
        }
    }
}

/// Values at a golden's points, asked for as a C program would.
fn query_by_c_abi(golden: &Golden, path: &Path, x: &str, outside: drr_outside) -> Vec<f64> {
    let points: Vec<f32> = golden.numbers(x).into_iter().map(|x| x as f32).collect();
    let conditions = golden.io.contains_key("cond").then(|| golden.numbers("cond"));
    let columns = golden.io.get("cond").map_or(0, |cond| cond.size()[1] as usize);
    let sets = golden.io.get("cond").map_or(1, |cond| cond.size()[0] as usize);
    let mut values = Vec::new();
    let path = CString::new(path.as_os_str().as_bytes()).expect("path");
    // SAFETY: all pointers are valid for the lengths given with them.
    unsafe {
        let mut model = null_mut();
        assert_eq!(drr_model_open(path.as_ptr(), null(), &raw mut model), drr_status::DRR_OK);
        let mut info: drr_model_info = std::mem::zeroed();
        info.struct_size = size_of::<drr_model_info>() as u32;
        assert_eq!(drr_model_get_info(model, &raw mut info), drr_status::DRR_OK);
        let options = drr_sampler_options {
            struct_size: size_of::<drr_sampler_options>() as u32,
            units: drr_units::DRR_UNITS_NORMALIZED as u32,
            outside: outside as u32,
            outside_parameters: 0,
        };
        let per_set = points.len() / sets;
        let count = per_set / info.dims as usize;
        for set in 0..sets {
            let row = conditions.as_ref().map_or(&[][..], |c| &c[set * columns..][..columns]);
            let mut sampler = null_mut();
            let status =
                drr_sampler_create(model, row.as_ptr(), columns as u64, &options, &raw mut sampler);
            assert_eq!(status, drr_status::DRR_OK);
            let mut out = vec![0.0f32; count * info.outputs as usize];
            let points = &points[set * per_set..][..per_set];
            let status =
                drr_sampler_query_f32(sampler, count as u64, points.as_ptr(), out.as_mut_ptr());
            assert_eq!(status, drr_status::DRR_OK);
            values.extend(out.into_iter().map(f64::from));
            drr_sampler_free(sampler);
        }
        drr_model_close(model);
    }
    values
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
