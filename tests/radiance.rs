//! Radiance fields: every kernel sees what `docs/format.md` says, pixel by pixel, whatever else is
//! in the picture.

mod common;

use common::plain::File;
use common::plain_radiance::{Seen, Way};
use common::radiance::{MODELS, camera, model, rays, unit};
use common::random::{self, Rng};
use common::{Baked, bits, kernels};
use drr::{
    Camera, DepthKind, Kernel, Points, RenderOptions, RenderOutput, Sampler, SamplerOptions,
    ValuesMut,
};

/// Largest error of a picture: of the reference, whose colours of samples that weigh less than
/// 2^-22 are left out; of other kernels, which may end a ray a sample earlier or later (1e-4 of the
/// light is left then) and have densities with a relative error of some 1e-5.
const TOLERANCES: [f64; 2] = [3e-5, 5e-4];

/// Where inputs of layers are rounded, some pixels may differ by more.
const STEPS: f64 = 0.15;

/// Red, green, blue and opacity of all rays, and their depths.
struct Picture {
    rgba: Vec<f64>,
    depth: Vec<f64>,
}

impl Picture {
    fn bits(&self) -> [Vec<u64>; 2] {
        [bits(&self.rgba), bits(&self.depth)]
    }
}

fn depths(scene: &[f32]) -> Points<'_> {
    Points::packed(scene, 1).expect("one number each")
}

fn along(sampler: &Sampler, [from, to]: [&[f64]; 2], options: &RenderOptions<'_>) -> Picture {
    let count = from.len() / 3;
    let (mut rgba, mut depth) = (vec![f64::MIN; 4 * count], vec![f64::MIN; count]);
    let [from, to] = [from, to].map(|all| Points::packed(all, 3).expect("whole points"));
    let mut room = ValuesMut::packed(&mut rgba, 4).expect("whole pixels");
    let mut depths = ValuesMut::packed(&mut depth, 1).expect("whole pixels");
    sampler.render_rays(&from, &to, options, &mut room, Some(&mut depths)).expect("rays");
    Picture { rgba, depth }
}

fn seen(
    sampler: &Sampler,
    camera: &Camera,
    size: [usize; 2],
    options: &RenderOptions<'_>,
) -> Picture {
    let count = size[0] * size[1];
    let (mut rgba, mut depth) = (vec![f64::MIN; 4 * count], vec![f64::MIN; count]);
    let mut room = ValuesMut::packed(&mut rgba, 4).expect("whole pixels");
    let mut depths = ValuesMut::packed(&mut depth, 1).expect("whole pixels");
    sampler.render(camera, size, options, &mut room, Some(&mut depths)).expect("a picture");
    Picture { rgba, depth }
}

/// A sampler, the plain reader of the same file, and parameters.
fn both(baked: &Baked, kernel: Kernel, rng: &mut Rng) -> (Sampler, File, Vec<f64>) {
    let parameters = random::parameters(&baked.spec, rng);
    let sampler = baked.sampler(kernel, &parameters, &SamplerOptions::default());
    (sampler, File::read(&baked.bytes), parameters)
}

#[test]
fn the_random_models_cover_what_they_promise() {
    let models: Vec<_> = (0..MODELS).map(model).collect();
    let any = |what: &dyn Fn(&Baked) -> bool| assert!(models.iter().any(what));
    let radiance = |m: &Baked| m.spec.radiance.clone().expect("a radiance field");
    (0..5).for_each(|bands| any(&|m| radiance(m).harmonics == bands));
    (1..4).for_each(|layers| any(&|m| radiance(m).layers.len() == layers));
    any(&|m| radiance(m).occupancy.is_none());
    let cells = |m: &Baked| m.model().occupancy().map(|bits| bits.iter().any(|&byte| byte != 0));
    any(&|m| cells(m) == Some(false));
    any(&|m| cells(m) == Some(true));
    any(&|m| m.spec.values.len() == 1);
    any(&|m| !m.spec.parameters.is_empty());
    any(&|m| m.spec.grids.iter().any(|grid| grid.product.is_some()));
    any(&|m| radiance(m).layers.iter().any(|layer| layer.precision.name() == "i8"));
}

#[test]
fn rays_see_what_the_format_says() {
    let mut samples = 0;
    for seed in 0..MODELS {
        let (baked, rng) = (model(seed), &mut Rng::new(seed));
        let [from, to] = rays(&baked.spec, 50, rng);
        for kernel in kernels() {
            let (sampler, file, parameters) = both(&baked, kernel, &mut Rng::new(seed));
            let way = Way { step: file.step(), near: 0.0, far: f64::INFINITY, stop: 1e-4 };
            let found = along(&sampler, [&from, &to], &RenderOptions::default());
            let (mut wrong, mut worst) = (0, 0.0f64);
            let tolerance = TOLERANCES[usize::from(kernel != Kernel::Reference)];
            for (i, (from, to)) in from.chunks(3).zip(to.chunks(3)).enumerate() {
                let origin = [from[0], from[1], from[2]];
                let expected = file.look(origin, unit(to), &way, &parameters);
                samples += expected.samples;
                let error = difference(&found, i, &expected);
                worst = worst.max(error);
                wrong += usize::from(error > tolerance);
            }
            let rounds = random::has_steps(&baked.spec);
            let fits =
                if rounds { worst < 0.5 && wrong <= (STEPS * 50.0) as usize } else { wrong == 0 };
            assert!(fits, "model {seed} {kernel:?}: {wrong} rays, worst by {worst:e}");
        }
    }
    assert!(samples > 20_000, "{samples} samples");
}

/// How far ray `i` of a picture is off; depths count by what is seen there.
fn difference(found: &Picture, i: usize, expected: &Seen) -> f64 {
    let rgba = &found.rgba[4 * i..][..4];
    let colour = (0..3).map(|k| (rgba[k] - expected.colour[k]).abs());
    let error = colour.fold((rgba[3] - expected.opacity).abs(), f64::max);
    let depth = match expected.opacity {
        0.0 => f64::from(u8::from(found.depth[i] != expected.depth)),
        // Of little opacity, the quotient is of small differences.
        opacity => {
            let relative = (found.depth[i] - expected.depth).abs() / expected.depth.max(1e-9);
            relative * opacity.min(1e-2)
        }
    };
    error.max(depth)
}

#[test]
fn points_have_the_density_and_colour_of_the_format() {
    for seed in 0..MODELS {
        let (baked, rng) = (model(seed), &mut Rng::new(seed));
        let mut points = random::points(&baked.spec, 60, rng);
        points.iter_mut().for_each(|x| *x = if x.is_finite() { *x } else { 0.0 });
        let directions = rng.list(180, 5.0);
        for kernel in kernels() {
            let (sampler, file, parameters) = both(&baked, kernel, &mut Rng::new(seed));
            let found = ask(&sampler, &points, &directions);
            for (i, (x, d)) in points.chunks(3).zip(directions.chunks(3)).enumerate() {
                let expected = file.density_and_colour([x[0], x[1], x[2]], unit(d), &parameters);
                let found = &found[4 * i..][..4];
                let scale = expected[0].max(1.0);
                let density = (found[0] - expected[0]).abs() / scale;
                let colour = (1..4).map(|k| (found[k] - expected[k]).abs()).fold(0.0, f64::max);
                let limit = match kernel {
                    Kernel::Reference => 1e-11,
                    _ if random::has_steps(&baked.spec) => continue,
                    _ => 3e-4,
                };
                assert!(density.max(colour) < limit, "{seed} {kernel:?} {found:?} {expected:?}");
            }
        }
    }
}

fn ask(sampler: &Sampler, points: &[f64], directions: &[f64]) -> Vec<f64> {
    let mut values = vec![f64::MIN; points.len() / 3 * 4];
    let [points, directions] =
        [points, directions].map(|all| Points::packed(all, 3).expect("whole points"));
    let mut room = ValuesMut::packed(&mut values, 4).expect("whole points");
    sampler.radiance(&points, &directions, &mut room).expect("densities and colours");
    values
}

#[test]
fn the_camera_sees_along_its_rays() {
    for seed in 0..10 {
        let (baked, rng, size) = (model(seed), &mut Rng::new(seed), [13, 9]);
        let camera = camera(&baked, size, rng);
        let sampler = both(&baked, Kernel::best(), rng).0;
        let found = seen(&sampler, &camera, size, &RenderOptions::default());
        let [mut from, mut to] = [Vec::new(), Vec::new()];
        for (y, x) in (0..size[1]).flat_map(|y| (0..size[0]).map(move |x| (y, x))) {
            let u = (x as f64 + 0.5 - camera.centre[0]) / camera.focal[0];
            let v = (y as f64 + 0.5 - camera.centre[1]) / camera.focal[1];
            from.extend(camera.to_world.map(|row| row[3]));
            to.extend(camera.to_world.map(|row| row[0] * u - row[1] * v - row[2]));
        }
        let expected = along(&sampler, [&from, &to], &RenderOptions::default());
        for (a, b) in found.rgba.iter().zip(&expected.rgba) {
            assert!((a - b).abs() < 1e-6, "{a}, expected {b}");
        }
        let options = RenderOptions { depth: DepthKind::AlongAxis, ..Default::default() };
        let flat = seen(&sampler, &camera, size, &options);
        assert_eq!(bits(&flat.rgba), bits(&found.rgba));
        for (i, (flat, depth)) in flat.depth.iter().zip(&found.depth).enumerate() {
            let d = unit(&to[3 * i..][..3]);
            let cosine = -(0..3).map(|k| d[k] * camera.to_world[k][2]).sum::<f64>();
            assert!(flat == depth || (flat - depth * cosine).abs() < 1e-9 * depth, "{i}");
        }
    }
}

#[test]
fn threads_and_neighbours_do_not_matter() {
    for seed in 0..12 {
        let (baked, rng, size) = (model(seed), &mut Rng::new(seed), [70, 45]);
        let camera = camera(&baked, size, rng);
        let parameters = random::parameters(&baked.spec, rng);
        for kernel in kernels().filter(|&kernel| kernel != Kernel::Reference) {
            let sampler = |threads| {
                let runtime = baked.runtime(kernel, threads);
                Sampler::new(&runtime, &parameters, &SamplerOptions::default()).expect("in range")
            };
            let alone = sampler(1);
            let all = seen(&alone, &camera, size, &RenderOptions::default());
            for threads in [2, 3] {
                let found = seen(&sampler(threads), &camera, size, &RenderOptions::default());
                assert_eq!(found.bits(), all.bits(), "{threads} threads");
            }
            // A part of the picture; moves by whole pixels are exact.
            let (left, top, [width, height]) = (17, 8, [31, 29]);
            let centre = [camera.centre[0] - left as f64, camera.centre[1] - top as f64];
            let part = Camera { centre, ..camera };
            let part = seen(&alone, &part, [width, height], &RenderOptions::default());
            for y in 0..height {
                let start = (y + top) * size[0] + left;
                let [a, b] = [&part.rgba[4 * y * width..], &all.rgba[4 * start..]];
                assert_eq!(bits(&a[..4 * width]), bits(&b[..4 * width]), "row {y}");
            }
        }
    }
}

#[test]
fn a_ray_does_not_depend_on_others() {
    for seed in 0..12 {
        let (baked, rng) = (model(seed), &mut Rng::new(seed));
        let [from, to] = rays(&baked.spec, 430, rng);
        for kernel in kernels().filter(|&kernel| kernel != Kernel::Reference) {
            let sampler = both(&baked, kernel, &mut Rng::new(seed)).0;
            let all = along(&sampler, [&from, &to], &RenderOptions::default());
            for range in [0..1, 5..6, 383..385, 100..200, 0..429] {
                let some = 3 * range.start..3 * range.end;
                let [from, to] = [&from[some.clone()], &to[some]];
                let found = along(&sampler, [from, to], &RenderOptions::default());
                let expected = Picture {
                    rgba: all.rgba[4 * range.start..4 * range.end].to_vec(),
                    depth: all.depth[range].to_vec(),
                };
                assert_eq!(found.bits(), expected.bits());
            }
        }
    }
}

#[test]
fn options_are_those_of_the_format() {
    for seed in 0..10 {
        let (baked, rng) = (model(seed), &mut Rng::new(seed));
        let (sampler, file, parameters) = both(&baked, Kernel::Reference, rng);
        let [from, to] = rays(&baked.spec, 60, rng);
        let diagonal = file.step() * 30.0;
        let scene: Vec<f32> = (0..60)
            .map(|_| rng.uniform(-0.2, 3.0) as f32 * diagonal as f32)
            .map(|depth| if depth > 2.0 * diagonal as f32 { f32::INFINITY } else { depth })
            .collect();
        let options = RenderOptions {
            step: Some(file.step() * 1.37),
            near: 0.3 * diagonal,
            far: 1.6 * diagonal,
            stop: 0.2,
            background: [0.25, -1.0, 3.0],
            output: RenderOutput::Opaque,
            scene_depth: Some(depths(&scene)),
            ..Default::default()
        };
        let opaque = along(&sampler, [&from, &to], &options);
        let options = RenderOptions { output: RenderOutput::Premultiplied, ..options };
        let found = along(&sampler, [&from, &to], &options);
        for (i, (from, to)) in from.chunks(3).zip(to.chunks(3)).enumerate() {
            let way = Way {
                step: file.step() * 1.37,
                near: options.near,
                far: options.far.min(f64::from(scene[i])),
                stop: 0.2,
            };
            let origin = [from[0], from[1], from[2]];
            let expected = file.look(origin, unit(to), &way, &parameters);
            let error = difference(&found, i, &expected);
            assert!(error < TOLERANCES[0], "model {seed}, ray {i}: {error:e}");
            let [part, whole] = [&found.rgba[4 * i..], &opaque.rgba[4 * i..]];
            assert_eq!(whole[3], 1.0);
            for k in 0..3 {
                let over = part[k] + (1.0 - part[3]) * options.background[k];
                assert!((whole[k] - over).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn depth_buffers_along_the_axis_end_rays_at_a_plane() {
    let (baked, rng, size) = (model(3), &mut Rng::new(3), [12, 10]);
    let camera = camera(&baked, size, rng);
    let sampler = both(&baked, Kernel::best(), rng).0;
    let lengths: Vec<f64> = (0..120)
        .map(|i| {
            let u = (f64::from(i % 12) + 0.5 - camera.centre[0]) / camera.focal[0];
            let v = (f64::from(i / 12) + 0.5 - camera.centre[1]) / camera.focal[1];
            (u * u + v * v + 1.0f64).sqrt()
        })
        .collect();
    let far = 1.2 * 30.0;
    let plane = vec![far as f32; 120];
    let along_ray: Vec<f32> = lengths.iter().map(|length| (far * length) as f32).collect();
    let options = |depth, scene| RenderOptions {
        depth,
        scene_depth: Some(depths(scene)),
        ..Default::default()
    };
    let a = seen(&sampler, &camera, size, &options(DepthKind::AlongAxis, &plane));
    let b = seen(&sampler, &camera, size, &options(DepthKind::AlongRay, &along_ray));
    for (a, b) in a.rgba.iter().zip(&b.rgba) {
        assert!((a - b).abs() < 0.2, "{a}, expected {b}");
    }
    let nothing = vec![0.0f32; 120];
    let found = seen(&sampler, &camera, size, &options(DepthKind::AlongAxis, &nothing));
    assert!(found.rgba.iter().chain(&found.depth).all(|&x| x == 0.0));
}

#[test]
fn nan_gives_nan_to_its_pixel_alone() {
    let (baked, rng) = (model(1), &mut Rng::new(1));
    let (sampler, _, parameters) = both(&baked, Kernel::best(), rng);
    let [mut from, mut to] = rays(&baked.spec, 100, rng);
    let clean = along(&sampler, [&from, &to], &RenderOptions::default());
    from[3 * 10 + 1] = f64::NAN;
    to[3 * 20] = f64::NAN;
    to[3 * 30 + 2] = f64::INFINITY;
    let mut scene = vec![f32::INFINITY; 100];
    scene[40] = f32::NAN;
    let options = RenderOptions { scene_depth: Some(depths(&scene)), ..Default::default() };
    let found = along(&sampler, [&from, &to], &options);
    for i in 0..100 {
        let is_nan = [10, 20, 30, 40].contains(&i);
        let all = found.rgba[4 * i..][..4].iter().chain(&found.depth[i..=i]);
        if is_nan {
            assert!(all.clone().all(|x| x.is_nan()), "{i}");
        } else {
            assert_eq!(bits(&found.rgba[4 * i..][..4]), bits(&clean.rgba[4 * i..][..4]));
        }
    }
    // From nowhere nothing is seen.
    from[0] = f64::INFINITY;
    from[5] = -f64::MAX;
    let far = along(&sampler, [&from[..6], &to[..6]], &RenderOptions::default());
    assert_eq!(far.rgba, [0.0; 8]);

    let middle: Vec<f64> = baked.spec.axes.iter().map(|a| (a.min + a.max) / 2.0).collect();
    let found = ask(&sampler, &middle, &[1.0, f64::NAN, 0.0]);
    assert!(!found[0].is_nan() && found[1..].iter().all(|x| x.is_nan()));
    let found = ask(&sampler, &[middle[0], f64::NAN, 0.0], &[1.0, 0.0, 0.0]);
    assert!(found.iter().all(|x| x.is_nan()));

    let seed = (0..MODELS).find(|&seed| !model(seed).spec.parameters.is_empty()).expect("one");
    let baked = model(seed);
    let nan = vec![f64::NAN; baked.spec.parameters.len()];
    let sampler = baked.sampler(Kernel::best(), &nan, &SamplerOptions::default());
    let [from, to] = rays(&baked.spec, 10, rng);
    let found = along(&sampler, [&from, &to], &RenderOptions::default());
    assert!(found.rgba.iter().chain(&found.depth).all(|x| x.is_nan()), "{parameters:?}");
}

#[test]
fn what_makes_no_sense_is_an_error() {
    let (baked, rng, size) = (model(2), &mut Rng::new(2), [3, 2]);
    let good = camera(&baked, size, rng);
    let sampler = both(&baked, Kernel::best(), rng).0;
    let refused =
        |sampler: &Sampler, camera: &Camera, size, options: &RenderOptions<'_>, what: &str| {
            let mut rgba = [7.0f32; 24];
            let mut room = ValuesMut::packed(&mut rgba, 4).expect("whole pixels");
            let error = sampler.render(camera, size, options, &mut room, None).expect_err(what);
            assert!(error.to_string().contains(what), "no `{what}` in: {error}");
            assert_eq!(rgba, [7.0; 24]);
        };
    let defaults = RenderOptions::default();
    let with = |change: &dyn Fn(&mut Camera)| {
        let mut camera = good;
        change(&mut camera);
        camera
    };
    for (camera, what) in [
        (with(&|c| c.to_world[1][3] = f64::NAN), "NaN"),
        (with(&|c| c.centre[0] = f64::INFINITY), "inf"),
        (with(&|c| c.focal[1] = 0.0), "focal length of the camera is 0"),
        (with(&|c| c.focal[0] = -3.0), "focal"),
        (with(&|c| c.to_world = [[0.0; 4]; 3]), "determinant"),
    ] {
        refused(&sampler, &camera, size, &defaults, what);
    }
    refused(&sampler, &good, [usize::MAX, 2], &defaults, "too many");
    refused(&sampler, &good, [usize::MAX / 2, 1], &defaults, "room for 6");
    refused(&sampler, &good, [4, 2], &defaults, "expected 8 times 4");
    let five = [1.0f32; 5];
    for (options, what) in [
        (RenderOptions { step: Some(-1.0), ..defaults }, "the step is -1"),
        (RenderOptions { step: Some(f64::NAN), ..defaults }, "the step is NaN"),
        (RenderOptions { step: Some(1e-9), ..defaults }, "at most 1048576 times"),
        (RenderOptions { near: -1.0, ..defaults }, "rays from -1"),
        (RenderOptions { near: f64::INFINITY, ..defaults }, "rays from inf"),
        (RenderOptions { far: f64::NAN, ..defaults }, "to NaN"),
        (RenderOptions { stop: 0.0, ..defaults }, "a part of 0"),
        (RenderOptions { stop: 1.5, ..defaults }, "a part of 1.5"),
        (RenderOptions { background: [0.0, f64::NAN, 0.0], ..defaults }, "background"),
        (
            RenderOptions { scene_depth: Some(depths(&five)), ..defaults },
            "5 depths of the scene for 6",
        ),
    ] {
        refused(&sampler, &good, size, &options, what);
    }
    let parameters = random::parameters(&baked.spec, rng);
    let options = SamplerOptions { units: drr::Units::Normalized, ..Default::default() };
    let inside = vec![0.5; parameters.len()];
    let normalized = baked.sampler(Kernel::best(), &inside, &options);
    refused(&normalized, &good, size, &defaults, "units are normalised");
    let other = random::model(0);
    let parameters = random::parameters(&other.spec, rng);
    let other = other.sampler(Kernel::best(), &parameters, &SamplerOptions::default());
    refused(&other, &good, size, &defaults, "no radiance field");

    let [from, to] = [[0.0; 6], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]];
    let [from, to] = [&from, &to].map(|all| Points::packed(all, 3).expect("whole points"));
    let mut rgba = [0.0f32; 8];
    let mut room = ValuesMut::packed(&mut rgba, 4).expect("whole pixels");
    let error = sampler.render_rays(&from, &to, &defaults, &mut room, None).expect_err("zero");
    assert!(error.to_string().contains("direction 1 is zero"), "{error}");
    let error = sampler.radiance(&from, &to, &mut room).expect_err("zero");
    assert!(error.to_string().contains("direction 1 is zero"), "{error}");
    let along_axis = RenderOptions { depth: DepthKind::AlongAxis, ..defaults };
    let error = sampler.render_rays(&from, &from, &along_axis, &mut room, None);
    assert!(error.is_err());

    // Nothing is nothing.
    let mut room = ValuesMut::packed(&mut [0.0f32; 0], 4).expect("no pixels");
    sampler.render(&good, [0, 5], &defaults, &mut room, None).expect("no pixels");
}

/// The file that examples and other languages' tests use is the one that is written down.
#[test]
fn the_scene_is_up_to_date() {
    let path = common::programs::root().join("data/radiance/star.drr.safetensors");
    let bytes = common::radiance::scene().bytes;
    if std::env::var_os("DRR_UPDATE_SCENE").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, &bytes).expect("room for a file");
    }
    assert_eq!(std::fs::read(path).expect("the scene"), bytes);
}
