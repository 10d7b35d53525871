//! Densities, colours and pictures by the kernels are those of the CPU.

use std::sync::Arc;

use drr::cuda::{Limits, Machine, Stream};
use drr::{
    Camera, DepthKind, DeviceSampler, ErrorKind, Kernel, Points, RenderOptions, RenderOutput,
    Sampler, SamplerOptions, Units, ValuesMut,
};

use crate::common::radiance::{self, MODELS, model, rays};
use crate::common::random::{self, Rng};
use crate::common::{Baked, query};
use crate::machine::{Array, Host, ask, is_gpu, machine, on};
use crate::{compare, packed, refusal};

/// Largest error of a picture: rays may end a sample earlier or later, where 1e-4 of the light is left,
/// and densities have a relative error of some 1e-5 (tests/radiance.rs).
const TOLERANCE: f64 = 5e-4;

/// Largest error of single colours.
const COLOURS: f64 = 3e-4;

/// Part of the rays that may differ: on a GPU, whose compiler joins products and sums, since a sample on
/// a cell's wall may fall on its other side; and where inputs of layers are rounded.
const WALLS: f64 = 0.02;
const STEPS: f64 = 0.15;

/// Red, green, blue, opacity and depth of each ray.
fn picture(
    machine: &Arc<dyn Machine>,
    count: usize,
    draw: impl FnOnce(&mut ValuesMut<'_>, &mut ValuesMut<'_>) -> drr::Result<()>,
) -> Vec<[f64; 5]> {
    let room = |each: usize| Array::floats(machine, &vec![f64::MIN; count * each]);
    let (rgba, depth) = (room(4), room(1));
    draw(&mut rgba.values(count, 4), &mut depth.values(count, 1)).expect("a picture");
    rows(&rgba.numbers(), &depth.numbers())
}

fn rows(rgba: &[f64], depth: &[f64]) -> Vec<[f64; 5]> {
    rgba.chunks(4).zip(depth).map(|(c, &depth)| [c[0], c[1], c[2], c[3], depth]).collect()
}

fn on_cpu(
    count: usize,
    draw: impl FnOnce(&mut ValuesMut<'_>, &mut ValuesMut<'_>) -> drr::Result<()>,
) -> Vec<[f64; 5]> {
    let (mut rgba, mut depth) = (vec![f64::MIN; 4 * count], vec![f64::MIN; count]);
    draw(&mut packed(&mut rgba, 4), &mut packed(&mut depth, 1)).expect("a picture");
    rows(&rgba, &depth)
}

/// Equal up to rounding but for some of the rays; NaN where the other is NaN.
fn compare_pictures(baked: &Baked, found: &[[f64; 5]], expected: &[[f64; 5]], what: &str) {
    assert_eq!(found.len(), expected.len());
    let mut wrong = Vec::new();
    for (n, (a, b)) in found.iter().zip(expected).enumerate() {
        for (a, b) in a.iter().zip(b) {
            assert_eq!(a.is_nan(), b.is_nan(), "{what}, ray {n}: {a}, expected {b}");
        }
        let colours = (0..4).map(|k| (a[k] - b[k]).abs()).fold(0.0, f64::max);
        // Of little opacity, a depth is the quotient of small differences.
        let depth = match b[3] {
            _ if a[4] == b[4] => 0.0,
            opacity => (a[4] - b[4]).abs() / b[4].max(1e-9) * opacity.min(1e-2),
        };
        if colours.max(depth) > TOLERANCE {
            wrong.push((n, a, b));
        }
    }
    let part = match random::has_steps(&baked.spec) {
        true => STEPS,
        false if is_gpu() => WALLS,
        false => 0.0,
    };
    let most = (part * found.len() as f64) as usize;
    assert!(wrong.len() <= most, "{what}: of {} rays differ {wrong:?}", found.len());
}

/// The same samplers of a model, here and there.
fn both(machine: &Arc<dyn Machine>, baked: &Baked, seed: u64) -> (Sampler, DeviceSampler) {
    let parameters = random::parameters(&baked.spec, &mut Rng::new(seed));
    let options = SamplerOptions::default();
    let here = baked.sampler(Kernel::Reference, &parameters, &options);
    (here, DeviceSampler::new(&on(machine, baked), &parameters, &options).expect("a sampler"))
}

/// Rays in arrays of the machine, asked for there and here.
fn compare_rays(
    machine: &Arc<dyn Machine>,
    baked: &Baked,
    (here, there): &(Sampler, DeviceSampler),
    [from, to]: [&[f64]; 2],
    (options, scene): (&RenderOptions<'_>, Option<&[f64]>),
    what: &str,
) -> Vec<[f64; 5]> {
    let count = from.len() / 3;
    let [from_there, to_there] = [from, to].map(|all| Array::floats(machine, all));
    let scene_there = scene.map(|scene| Array::floats(machine, scene));
    let found = picture(machine, count, |rgba, depth| {
        let scene_depth = scene_there.as_ref().map(|scene| scene.points(count, 1));
        let options = RenderOptions { scene_depth, ..*options };
        let [from, to] = [&from_there, &to_there].map(|array| array.points(count, 3));
        // SAFETY: the arrays live until the numbers are back.
        unsafe { there.render_rays(&from, &to, &options, rgba, Some(depth), Stream(0)) }
    });
    let expected = on_cpu(count, |rgba, depth| {
        let scene_depth = scene.map(|scene| Points::packed(scene, 1).expect("one each"));
        let options = RenderOptions { scene_depth, ..*options };
        let [from, to] = [from, to].map(|all| Points::packed(all, 3).expect("whole points"));
        here.render_rays(&from, &to, &options, rgba, Some(depth))
    });
    compare_pictures(baked, &found, &expected, what);
    found
}

#[test]
fn radiance_fields_answer_as_other_models_do() {
    let Some(machine) = machine() else { return };
    for seed in 0..12 {
        let (mut rng, baked) = (Rng::new(seed), model(seed));
        let (here, there) = both(&machine, &baked, seed);
        let at = crate::points(&baked, 20, &mut rng);
        let found = ask(&machine, &there, &at);
        compare(&baked, &found, &query(&here, &at), &format!("radiance field {seed}"));
    }
}

#[test]
fn points_have_the_references_densities_and_colours() {
    let Some(machine) = machine() else { return };
    for seed in 0..MODELS {
        let (mut rng, baked) = (Rng::new(seed), model(seed));
        let (here, there) = both(&machine, &baked, seed);
        let count = [0, 1, 7, 8, 9, 63, 64, 65, 150][seed as usize % 9];
        let points = crate::points(&baked, count, &mut rng);
        let mut directions = rng.list(3 * count, 5.0);
        if let Some(x) = directions.get_mut(10) {
            *x = f64::NAN;
        }
        let [at, to, values] = [&points, &directions, &vec![f64::MIN; 4 * count]]
            .map(|numbers| Array::floats(&machine, numbers));
        // SAFETY: the arrays live until the numbers are back.
        unsafe {
            let (at, to) = (at.points(count, 3), to.points(count, 3));
            there.radiance(&at, &to, &mut values.values(count, 4), Stream(0)).expect("colours");
        }
        let found = values.numbers();
        let mut expected = vec![f64::MIN; 4 * count];
        let [at, to] = [&points, &directions].map(|all| Points::packed(all, 3).expect("points"));
        here.radiance(&at, &to, &mut packed(&mut expected, 4)).expect("colours");
        let largest = expected.iter().step_by(4).fold(1.0, |l: f64, x| l.max(x.abs()));
        let mut wrong = Vec::new();
        for (n, (a, b)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(a.is_nan(), b.is_nan(), "model {seed}, number {n}: {a}, expected {b}");
            let limit = if n % 4 == 0 { 1e-5 * largest } else { COLOURS };
            if !a.is_nan() && (a - b).abs() > limit {
                wrong.push((n, a, b));
            }
        }
        let part = if random::has_steps(&baked.spec) { STEPS } else { 0.0 };
        let most = (part * found.len() as f64) as usize;
        assert!(wrong.len() <= most, "model {seed}: {wrong:?}");
    }
}

#[test]
fn rays_see_what_they_see_on_the_cpu() {
    let Some(machine) = machine() else { return };
    let mut seen = 0;
    for seed in 0..MODELS {
        let (mut rng, baked) = (Rng::new(seed), model(seed));
        let samplers = both(&machine, &baked, seed);
        let count = [1, 8, 9, 64, 65, 200][seed as usize % 6];
        let [from, to] = rays(&baked.spec, count, &mut rng);
        let options = RenderOptions::default();
        let what = format!("model {seed}");
        let found =
            compare_rays(&machine, &baked, &samplers, [&from, &to], (&options, None), &what);
        seen += found.iter().filter(|ray| ray[3] > 0.01).count();

        let diagonal = baked.spec.radiance.as_ref().map_or(0.0, |field| field.step) * 30.0;
        let scene: Vec<f64> = (0..count)
            .map(|n| if n % 5 == 0 { f64::INFINITY } else { rng.uniform(-0.2, 3.0) * diagonal })
            .collect();
        let options = RenderOptions {
            step: Some(diagonal / 23.0),
            near: 0.3 * diagonal,
            far: 1.6 * diagonal,
            stop: 0.2,
            background: [0.25, -1.0, 3.0],
            output: RenderOutput::Opaque,
            ..Default::default()
        };
        let asked = (&options, Some(&scene[..]));
        compare_rays(&machine, &baked, &samplers, [&from, &to], asked, &what);
    }
    assert!(seen > 300, "{seen} rays");
}

/// Whole pictures, whose sizes are no multiples of anything.
#[test]
fn cameras_see_what_they_see_on_the_cpu() {
    let Some(machine) = machine() else { return };
    for (seed, size) in [(0, [13, 9]), (3, [8, 8]), (6, [1, 17]), (9, [40, 25]), (12, [5, 0])] {
        let (mut rng, baked) = (Rng::new(seed), model(seed));
        let (here, there) = both(&machine, &baked, seed);
        let camera = radiance::camera(&baked, size, &mut rng);
        let count = size[0] * size[1];
        for depth in [DepthKind::AlongRay, DepthKind::AlongAxis] {
            let options = RenderOptions { depth, ..Default::default() };
            let found = picture(&machine, count, |rgba, depth| {
                // SAFETY: the arrays live until the numbers are back.
                unsafe { there.render(&camera, size, &options, rgba, Some(depth), Stream(0)) }
            });
            let expected = on_cpu(count, |rgba, depth| {
                here.render(&camera, size, &options, rgba, Some(depth))
            });
            compare_pictures(&baked, &found, &expected, &format!("model {seed}, {depth:?}"));
        }
    }
}

#[test]
fn nan_gives_nan_to_its_ray_alone() {
    let Some(machine) = machine() else { return };
    let baked = model(1);
    let samplers = both(&machine, &baked, 1);
    let [mut from, mut to] = rays(&baked.spec, 100, &mut Rng::new(1));
    from[3 * 10 + 1] = f64::NAN;
    to[3 * 20] = f64::NAN;
    to[3 * 30 + 2] = f64::INFINITY;
    // From nowhere nothing is seen.
    from[3 * 50] = f64::INFINITY;
    from[3 * 51 + 2] = -f64::MAX;
    let mut scene = vec![f64::INFINITY; 100];
    scene[40] = f64::NAN;
    let asked = (&RenderOptions::default(), Some(&scene[..]));
    let found = compare_rays(&machine, &baked, &samplers, [&from, &to], asked, "NaN");
    for (n, ray) in found.iter().enumerate() {
        let is_nan = [10, 20, 30, 40].contains(&n);
        assert!(ray.iter().all(|x| x.is_nan() == is_nan), "ray {n}: {ray:?}");
    }
    assert_eq!([found[50][3], found[51][3]], [0.0; 2]);

    // The CPU refuses a direction that is none, a queue of work cannot.
    let [origin, zero] = [[0.5; 3], [0.0; 3]].map(|x| Array::floats(&machine, &x));
    let found = picture(&machine, 1, |rgba, depth| {
        let (origin, zero) = (origin.points(1, 3), zero.points(1, 3));
        let options = RenderOptions::default();
        // SAFETY: the arrays live until the numbers are back.
        unsafe { samplers.1.render_rays(&origin, &zero, &options, rgba, Some(depth), Stream(0)) }
    });
    assert!(found[0].iter().all(|x| x.is_nan()), "{found:?}");

    // Parameters that are NaN make all of it NaN.
    let seed = (0..MODELS).find(|&seed| !model(seed).spec.parameters.is_empty()).expect("one");
    let baked = model(seed);
    let nan = vec![f64::NAN; baked.spec.parameters.len()];
    let sampler = DeviceSampler::new(&on(&machine, &baked), &nan, &SamplerOptions::default());
    let sampler = sampler.expect("a sampler");
    let [from, to] = rays(&baked.spec, 10, &mut Rng::new(1)).map(|x| Array::floats(&machine, &x));
    let found = picture(&machine, 10, |rgba, depth| {
        let (from, to) = (from.points(10, 3), to.points(10, 3));
        let options = RenderOptions::default();
        // SAFETY: the arrays live until the numbers are back.
        unsafe { sampler.render_rays(&from, &to, &options, rgba, Some(depth), Stream(0)) }
    });
    assert!(found.iter().flatten().all(|x| x.is_nan()), "{found:?}");
}

/// A tile is smaller where shared memory is, and rays the same.
#[test]
fn what_a_ray_sees_does_not_depend_on_the_others() {
    let Some(host) = Host::new() else { return };
    let baked = model(3);
    let mut pictures = Vec::new();
    for (shared, processors) in [(227 << 10, 2), (24 << 10, 1), (12 << 10, 7)] {
        let limits = Limits { shared, processors, has_tensor_cores: false };
        let machine = Host { limits, ..Host::new().expect("as before") }.machine().1;
        let (_, there) = both(&machine, &baked, 3);
        let size = [30, 21];
        let camera = radiance::camera(&baked, size, &mut Rng::new(3));
        pictures.push(picture(&machine, size[0] * size[1], |rgba, depth| {
            let options = RenderOptions::default();
            // SAFETY: the arrays live until the numbers are back.
            unsafe { there.render(&camera, size, &options, rgba, Some(depth), Stream(0)) }
        }));
    }
    drop(host);
    assert!(pictures[0].iter().any(|ray| ray[3] > 0.1), "a field that is seen");
    for picture in &pictures[1..] {
        let bits = |picture: &[[f64; 5]]| {
            picture.as_flattened().iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        assert!(bits(picture) == bits(&pictures[0]));
    }
}

#[test]
fn what_makes_no_sense_is_an_error() {
    let Some(machine) = machine() else { return };
    let baked = model(2);
    let (_, there) = both(&machine, &baked, 2);
    let camera = radiance::camera(&baked, [3, 2], &mut Rng::new(2));
    let draw = |sampler: &DeviceSampler, camera: &Camera, options: &RenderOptions<'_>| {
        let (mut rgba, mut depth) = ([7.0; 24], [7.0; 6]);
        // SAFETY: refused before anything is read.
        refusal(unsafe {
            let (mut rgba, mut depth) = (packed(&mut rgba, 4), packed(&mut depth, 1));
            sampler.render(camera, [3, 2], options, &mut rgba, Some(&mut depth), Stream(0))
        })
    };
    let defaults = RenderOptions::default();
    let error = draw(&there, &Camera { focal: [1.0, 0.0], ..camera }, &defaults);
    assert!(error.to_string().contains("focal length"), "{error}");
    let error = draw(&there, &camera, &RenderOptions { step: Some(-1.0), ..defaults });
    assert!(error.to_string().contains("step is -1"), "{error}");
    let parameters = random::parameters(&baked.spec, &mut Rng::new(2));
    let options = SamplerOptions { units: Units::Normalized, ..Default::default() };
    let sampler = DeviceSampler::new(&on(&machine, &baked), &vec![0.5; parameters.len()], &options);
    let error = draw(&sampler.expect("a sampler"), &camera, &defaults);
    assert!(error.to_string().contains("units are normalised"), "{error}");
    let other = random::model(0);
    let parameters = random::parameters(&other.spec, &mut Rng::new(2));
    let sampler =
        DeviceSampler::new(&on(&machine, &other), &parameters, &SamplerOptions::default());
    let error = draw(&sampler.expect("a sampler"), &camera, &defaults);
    assert!(error.to_string().contains("no radiance field"), "{error}");

    // Values go where colours do not.
    let Some(host) = Host::new() else { return };
    let wide = radiance::wide(2);
    let limits = Limits { shared: 16 << 10, processors: 1, has_tensor_cores: false };
    let machine = Host { limits, ..host }.machine().1;
    let (here, there) = both(&machine, &wide, 2);
    let at = crate::points(&wide, 9, &mut Rng::new(2));
    compare(&wide, &ask(&machine, &there, &at), &query(&here, &at), "values of a wide head");
    let error = draw(&there, &camera, &defaults);
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("densities and colours"), "{error}");
}
