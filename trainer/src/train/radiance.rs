//! Pictures of a scene as what is trained on: a radiance field learns to look like them along rays.
//!
//! As the reference does: rays at random over all pictures, as many as give the wished number of
//! samples, a smooth L1 loss, an occupancy grid that is looked at every 16 steps.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use drr::model::spec::Axis;
use serde_json::{Map, Value, json};
use tch::{Device, Kind, Reduction, Tensor};

use super::record::{DataRecord, Member};
use super::settings::Settings;
use super::subject::{Loss, Subject, put};
use crate::bake::Description;
use crate::config::{Background, Config, DatasetConfig, ModelConfig, RadianceConfig, RaysConfig};
use crate::data::{Draws, Ray, View, Views};
use crate::eval::metrics::psnr;
use crate::models::{Parameters, Radiance};
use crate::progress::Progress;
use crate::render::march::March;
use crate::render::occupancy::{EVERY, Occupancy};
use crate::render::{self, Seen};

/// Stream of the generator from which cells are drawn; steps count from 0.
const DRAWN_CELLS: u64 = 1 << 61;

/// Steps of the box' diagonal, roughly, if nothing says otherwise: 0.005 in the reference's boxes.
const STEPS_PER_EDGE: f64 = 600.0;

/// Points whose densities are computed at a time.
const TOGETHER: i64 = 1 << 15;

/// A radiance field and the pictures that it learns from.
pub struct Scene {
    radiance: RadianceConfig,
    rays: RaysConfig,
    steps: Option<u64>,
    /// There once it is built.
    model: Option<Radiance>,
    views: Views,
    occupancy: Occupancy,
    /// Rays of the next step.
    count: usize,
    seed: u64,
    record: DataRecord,
    device: Device,
}

impl Scene {
    /// Reads the pictures that a configuration names.
    ///
    /// # Errors
    /// For unusable configuration or data.
    pub fn load(config: &Config, device: Device, max_memory: Option<usize>) -> Result<Self> {
        let ModelConfig::Radiance(radiance) = &config.model else {
            bail!("model.type: expected a radiance field");
        };
        ensure!(
            max_memory.is_none(),
            "--max-memory is for models of fields: lower rays.samples for radiance fields"
        );
        // A run that goes on asks for all of the memory; pictures are always in it.
        let given = DatasetConfig { data: None, cache_gib: None, ..config.dataset.clone() };
        ensure!(
            given == DatasetConfig::default(),
            "dataset.param: radiance fields know `data` alone, a scene's folder; how pictures are \
             learned from stands in `rays`"
        );
        let views = load_views(config, "train")?;
        let rays = config.rays.clone();
        let steps = config.train.maxsteps.filter(|&steps| steps > 0).map(|steps| steps as u64);
        Ok(Self {
            record: record(config, radiance, &views)?,
            radiance: radiance.clone(),
            steps,
            model: None,
            views,
            occupancy: Occupancy::new(rays.occupancy),
            count: rays.rays,
            seed: config.train.seed as u64,
            rays,
            device,
        })
    }

    fn model(&self) -> &Radiance {
        self.model.as_ref().unwrap_or_else(|| unreachable!("built before anything else"))
    }

    /// Rays of a batch and the colours that they should see.
    fn draw(&self, batch: u64, background: [f32; 3]) -> (Vec<Ray>, Vec<f64>, Tensor) {
        // One number for the background was drawn before these.
        let mut draws = Draws::new(self.seed, batch);
        let (mut rays, mut offsets) = (Vec::new(), Vec::new());
        let mut targets = Vec::with_capacity(self.count * 3);
        for _ in 0..self.count {
            let View { camera, pixels, .. } =
                &self.views.views[draws.below(self.views.views.len() as u64) as usize];
            let pixel = draws.below(pixels.len() as u64) as usize;
            let (x, y) = (pixel % camera.size[0], pixel / camera.size[0]);
            rays.push(camera.ray(x as f64 + 0.5, y as f64 + 0.5));
            offsets.push(draws.unit());
            let [r, g, b, a] = pixels[pixel];
            let over = |colour: f32, behind: f32| colour * a + behind * (1.0 - a);
            let [br, bg, bb] = background;
            targets.extend([over(r, br), over(g, bg), over(b, bb)]);
        }
        let targets = Tensor::from_slice(&targets).view([-1, 3]).to_device(self.device);
        (rays, offsets, targets)
    }

    fn background(&self, batch: u64) -> [f32; 3] {
        match self.rays.background {
            Background::White => [1.0; 3],
            Background::Black => [0.0; 3],
            Background::Random => {
                let mut draws = Draws::new(self.seed, DRAWN_CELLS | (1 << 60) | batch);
                std::array::from_fn(|_| draws.unit() as f32)
            }
        }
    }

    /// Looks at the cells of the occupancy grid.
    fn update_occupancy(&mut self, batch: u64) {
        let mut draws = Draws::new(self.seed, DRAWN_CELLS | batch);
        let Some(model) = &self.model else { return };
        let device = self.device;
        let density = |places: &Tensor| {
            tch::no_grad(|| {
                let pieces = places.split(TOGETHER, 0);
                let found = pieces.iter().map(|piece| model.density(&piece.to_device(device)));
                Tensor::cat(&found.collect::<Vec<_>>(), 0)
            })
        };
        let step = step_length(&self.radiance, &self.rays);
        self.occupancy.update(batch, &self.radiance.aabb, step, &mut draws, density);
    }
}

impl Subject for Scene {
    fn build(&mut self, parameters: Parameters, kind: Kind) -> Result<()> {
        ensure!(
            kind == Kind::Float,
            "train.precision: f32 is all that radiance fields are computed in"
        );
        let model = Radiance::build(&self.radiance, parameters)?;
        model.check_complete()?;
        self.model = Some(model);
        self.occupancy = Occupancy::new(self.rays.occupancy);
        self.count = self.rays.rays;
        Ok(())
    }

    fn restore(&mut self, extra: Vec<(String, Tensor)>) -> Result<()> {
        self.count = restore_occupancy(&mut self.occupancy, &extra)?;
        Ok(())
    }

    fn parameters(&self) -> &Parameters {
        &self.model().parameters
    }

    fn steps(&self) -> Result<Option<u64>> {
        Ok(self.steps)
    }

    fn prepare(&mut self, settings: &Settings) -> Result<()> {
        self.seed = settings.seed;
        Ok(())
    }

    fn backward(&mut self, batch: u64, factor: f64) -> Result<Loss> {
        if batch.is_multiple_of(EVERY) {
            self.update_occupancy(batch);
        }
        let background = self.background(batch);
        let (rays, offsets, targets) = self.draw(batch, background);
        let march = march(&self.radiance, &self.rays, Some(&self.occupancy));
        let seen = render::look(self.model(), &march, &rays, &offsets, self.device);
        let colours = seen.over(background);
        let value = colours.smooth_l1_loss(&targets, Reduction::Mean, 1.0);
        // Rays that meet nothing depend on no weight.
        if value.requires_grad() {
            (&value * factor).backward();
        }
        let squared_error = colours.detach().mse_loss(&targets, Reduction::Mean);
        let Seen { samples, .. } = seen;
        // As many rays as had given the wished number of samples, but no sudden changes.
        let wished = self.count as f64 * self.rays.samples as f64 / samples.max(1) as f64;
        let bounds = (self.count as f64 / 4.0, self.count as f64 * 4.0);
        self.count = (wished.clamp(bounds.0, bounds.1) as usize).clamp(1, self.rays.samples);
        Ok(Loss { value: value.detach(), squared_error })
    }

    fn points_per_batch(&self) -> f64 {
        self.rays.samples as f64
    }

    fn psnr(&self, squared_error: f64) -> f64 {
        psnr(squared_error)
    }

    fn extra(&self) -> Vec<(String, Tensor)> {
        let mut extra = self.occupancy.state();
        extra.push(("rays".to_owned(), Tensor::from(self.count as i64)));
        extra
    }

    fn describe(&self) -> Vec<String> {
        let [width, height] = self.views.views[0].camera.size;
        let step = step_length(&self.radiance, &self.rays);
        vec![format!(
            "data: {} pictures of {width} x {height}; box of edge {}, steps of {step:.4}, {}^3 cells, \
             {} background",
            self.views.views.len(),
            self.radiance.edge(),
            self.rays.occupancy,
            self.rays.background.name(),
        )]
    }

    fn describe_batch(&self) -> String {
        format!("some {} samples along rays", self.rays.samples)
    }

    fn name_batch(&self, batch: u64) -> String {
        format!("rays of all pictures (seed {}, batch {batch})", self.seed)
    }

    fn resolve(&self, entry: &mut Value) {
        let rays = &self.rays;
        let mut put = |key: &str, value: Value| put(entry, "rays", key, value);
        put("step", json!(step_length(&self.radiance, rays)));
        put("occupancy", json!(rays.occupancy));
        put("background", json!(rays.background.name()));
        put("downscale", json!(rays.downscale));
        put("rays", json!(rays.rays));
        put("samples", json!(rays.samples));
    }

    fn record(&self) -> &DataRecord {
        &self.record
    }
}

/// Distance of samples along a ray.
pub fn step_length(radiance: &RadianceConfig, rays: &RaysConfig) -> f64 {
    rays.step.unwrap_or(radiance.edge() / STEPS_PER_EDGE)
}

/// How rays are marched.
pub fn march<'a>(
    radiance: &RadianceConfig,
    rays: &RaysConfig,
    occupancy: Option<&'a Occupancy>,
) -> March<'a> {
    March { aabb: radiance.aabb, step: step_length(radiance, rays), occupancy }
}

/// The cells that a checkpoint stores.
///
/// # Errors
/// If they are damaged or those of another division.
pub fn occupancy_of(extra: &[(String, Tensor)], rays: &RaysConfig) -> Result<Occupancy> {
    let mut occupancy = Occupancy::new(rays.occupancy);
    restore_occupancy(&mut occupancy, extra)?;
    Ok(occupancy)
}

/// Puts the state of a checkpoint into `occupancy`; returns the rays of the next step.
///
/// # Errors
/// If it is damaged or that of other cells.
fn restore_occupancy(occupancy: &mut Occupancy, extra: &[(String, Tensor)]) -> Result<usize> {
    let find = |name: &str| {
        let found = extra.iter().find(|(known, _)| known == name);
        found.map(|(_, tensor)| tensor).with_context(|| format!("the checkpoint lacks {name}"))
    };
    occupancy.restore(find("occupancy.values")?, find("occupancy.full")?)?;
    let rays = find("rays")?;
    ensure!(rays.numel() == 1, "the checkpoint's number of rays is damaged");
    let count = rays.to_kind(Kind::Int64).view(-1).int64_value(&[0]);
    usize::try_from(count).context("the checkpoint's number of rays is damaged")
}

/// The pictures of a split of the scene that a configuration names, with progress shown.
///
/// # Errors
/// As [`Views::load`].
pub fn load_views(config: &Config, split: &str) -> Result<Views> {
    let root = config.train.nerfacc_data_root.as_ref();
    let named = root.zip(config.train.nerfacc_scene.as_ref()).map(|(root, name)| root.join(name));
    let Some(folder) = config.dataset.data.clone().or(named) else {
        bail!(
            "no data: give --data DIR, the folder of a scene with transforms_{split}.json, or \
             train.nerfacc_data_root in the configuration"
        );
    };
    let mut progress = None;
    let views = Views::load(Path::new(&folder), split, config.rays.downscale, &mut |done, all| {
        let progress =
            progress.get_or_insert_with(|| Progress::new("reading", "pictures", all as u64));
        progress.advance(1);
        if done == all {
            progress.finish();
        }
        progress.check_interrupt()
    })?;
    Ok(views)
}

/// What a run remembers of a scene: the box, and names and size of the pictures.
fn record(config: &Config, radiance: &RadianceConfig, views: &Views) -> Result<DataRecord> {
    let axis = |(k, name): (usize, &str)| Axis {
        name: name.to_owned(),
        unit: String::new(),
        min: radiance.aabb[k],
        max: radiance.aabb[k + 3],
    };
    let [width, height] = views.views[0].camera.size;
    let name = config.dataset.data.as_deref().and_then(Path::file_name).unwrap_or_default();
    let mut provenance = Map::new();
    provenance.insert(
        "data".into(),
        json!({
            "name": name.to_string_lossy(), "pictures": views.views.len(),
            "size": [width, height],
        }),
    );
    let description = Description {
        axes: ["x", "y", "z"].into_iter().enumerate().map(axis).collect(),
        parameters: Vec::new(),
        values: Vec::new(),
        provenance,
    };
    let training = views.views.iter();
    let training =
        training.map(|view| Member { name: view.name.clone(), parameters: Vec::new() }).collect();
    Ok(DataRecord { description, dims: vec![height, width], points: None, training })
}
