//! Turns a trained model into a baked file: refines every vertex once, folds what is linear into
//! the grids, keeps principal components, rounds, and measures what that costs.
//!
//! - `source`: vertices of a trained model (`trained`; `plain` and `baselines` without refiners) or of
//!   a file baked before
//! - `radiance`: colours and cells of radiance fields
//! - `form`: a model as it will be written; `fold` and `components` make one from another,
//!   `calibrate` rounds its decoder
//! - `passes`: over all vertices, out of core; `sample`: a look at some points
//! - `workbench`: several files of one model and what they lost (`measure`, `judge`); `report`

mod baselines;
mod calibrate;
mod components;
mod describe;
mod fold;
mod form;
mod judge;
mod measure;
mod passes;
mod plain;
mod radiance;
pub mod report;
mod sample;
mod source;
mod trained;
mod workbench;

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use drr::model::{GridPrecision, Writer};
use serde_json::json;

use crate::config::{Config, EnsembleModel, ModelConfig, RadianceConfig, RadianceFieldConfig};
use crate::models::Parameters;

pub use calibrate::Decoder;
pub use describe::Description;
use form::Form;
pub use judge::Judge;
pub use measure::{Loss, points_per_second};
pub use passes::Bars;
pub use source::{Baked, Source};
use trained::Trained;
use workbench::{Change, Recipe, Workbench};

/// Loads a checkpoint for baking, in 64 bits on the CPU; `description` is what the file will say about
/// its data.
///
/// # Errors
/// If the model cannot be baked, or the file cannot be read or does not fit the configuration.
pub fn load(config: &Config, weights: &Path, description: Description) -> Result<Box<dyn Source>> {
    let load = || -> Result<Box<dyn Source>> {
        let parameters = Parameters::for_baking(weights)?;
        match &config.model {
            ModelConfig::Radiance(model) => {
                let rays = &config.rays;
                Ok(Box::new(Trained::radiance(model, rays, parameters, weights, description)?))
            }
            _ => of_fields(config.model.of_ensemble()?, parameters, description),
        }
    };
    load().with_context(|| format!("cannot load {}", weights.display()))
}

/// A model of fields for baking, from its tensors in 64 bits.
///
/// # Errors
/// If the model cannot be baked, or the tensors do not fit it.
pub fn of_fields(
    model: EnsembleModel<'_>,
    parameters: Parameters,
    description: Description,
) -> Result<Box<dyn Source>> {
    Ok(match model {
        EnsembleModel::Hdinr(config) => Box::new(Trained::hdinr(config, parameters, description)?),
        EnsembleModel::Inr(config) => Box::new(Trained::inr(config, parameters, description)?),
        EnsembleModel::Baseline(config) => {
            Box::new(baselines::plain(config, parameters, description)?)
        }
    })
}

/// Why a model cannot be baked, if so.
pub fn obstacle(config: &ModelConfig) -> Option<String> {
    match config {
        ModelConfig::Baseline(config) => baselines::obstacle(config),
        ModelConfig::Radiance(RadianceConfig {
            field: RadianceFieldConfig::Vanilla(_), ..
        }) => Some(
            "NeRF's network has no grids: each point goes through all of its layers".to_owned(),
        ),
        ModelConfig::Hdinr(_) | ModelConfig::Inr(_) | ModelConfig::Radiance(_) => None,
    }
}

/// Whether the first layer is folded into grids and lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// If queries are faster for it and the grids not much larger.
    Auto,
    /// In any case.
    On,
    /// Not.
    Off,
}

/// How grids are compressed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Compression {
    /// Principal components to keep.
    Rank(usize),
    /// As few as keep the largest error within this, in units of the value range.
    MaxError(f64),
}

/// What is baked.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Folding.
    pub fold: Fold,
    /// Compression, if any.
    pub compression: Option<Compression>,
    /// Precision of the grids.
    pub grid: GridPrecision,
    /// Precision of the layers.
    pub decoder: Decoder,
}

/// A file that was baked.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// Its size.
    pub bytes: u64,
    /// Whether the first layer was folded.
    pub folded: bool,
    /// Principal components of each grid, if it was compressed.
    pub rank: Option<usize>,
    /// What was measured, for files that were compressed or rounded to 8 bits or bfloat16.
    pub measured: Option<Measured>,
}

/// What a file lost, and what it would have been.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Against the unfolded 32-bit model.
    pub loss: Loss,
    /// Size of that model's file.
    pub f32_bytes: u64,
}

impl Options {
    /// Everything exact: 32 bits, nothing folded.
    pub const EXACT: Self = Self {
        fold: Fold::Off,
        compression: None,
        grid: GridPrecision::F32,
        decoder: Decoder::F32,
    };

    /// Whether something is lost that is worth measuring. Else a single pass over the vertices
    /// suffices.
    pub fn loses(&self) -> bool {
        let rounded = self.grid == GridPrecision::I8 || self.decoder != Decoder::F32;
        self.compression.is_some() || rounded
    }

    /// Whether `form` is to be folded, once it is clear that it can be baked in this way.
    fn folds(&self, form: &Form) -> Result<bool> {
        if self.decoder != Decoder::F32 && form.layers.is_empty() {
            bail!("--decoder {}: the model has no layers", self.decoder.name());
        }
        if let Some(compression) = self.compression {
            let option = match compression {
                Compression::Rank(_) => "--rank",
                Compression::MaxError(_) => "--max-error",
            };
            if let Some(obstacle) = components::obstacle(form) {
                bail!("{option}: the grids cannot be compressed: {obstacle}");
            }
            ensure!(
                self.fold != Fold::On,
                "{option} with --fold on: the basis of a compressed grid takes the first layer's \
                 place; give one of both"
            );
            if let Compression::MaxError(limit) = compression {
                ensure!(
                    limit > 0.0 && limit.is_finite(),
                    "--max-error {limit}: expected a positive number"
                );
            }
            return Ok(false);
        }
        match (self.fold, fold::obstacle(form)) {
            (Fold::Off, _) | (Fold::Auto, Some(_)) => Ok(false),
            (Fold::On, Some(obstacle)) => bail!("--fold on: {obstacle}"),
            (Fold::On, None) => Ok(true),
            (Fold::Auto, None) => Ok(fold::pays(form)),
        }
    }
}

/// Bakes `source` into `output`. What is lost by compression, 8 bits or bfloat16 is measured, on the
/// data of `judge` too if there is one, and written into the file. Whatever goes wrong, a file that
/// was there before stays.
///
/// # Errors
/// If the model cannot be baked in this way, a feature is not finite or too large for the precision,
/// the disk is full, or the user interrupts.
pub fn bake(
    source: &dyn Source,
    options: &Options,
    judge: Option<Judge>,
    output: &Path,
    bars: Bars<'_>,
) -> Result<Outcome> {
    tch::no_grad(|| {
        let form = source.form()?;
        let folded = options.folds(&form)?;
        if !options.loses() {
            let form = if folded { fold::fold(&form) } else { form };
            let bytes = passes::write(source, &form, options.grid, output, bars)?;
            return Ok(Outcome { bytes, folded, rank: None, measured: None });
        }
        check_output(output, &form)?;
        let bench = Workbench::new(source, judge, output, bars)?;
        finish(&bench, options, folded, output)
    })
}

/// Bakes from a workbench into `output`.
fn finish(
    bench: &Workbench<'_>,
    options: &Options,
    folded: bool,
    output: &Path,
) -> Result<Outcome> {
    let Options { grid, decoder, .. } = *options;
    let make = |change| {
        let recipe = Recipe { change, grid, decoder };
        bench.make(&recipe, "baked").map(|path| (recipe, path))
    };
    let (recipe, path) = match options.compression {
        None if folded => make(Change::Fold)?,
        None => make(Change::Nothing)?,
        Some(Compression::MaxError(limit)) => bench.smallest_rank(limit, grid, decoder)?,
        Some(Compression::Rank(rank)) => {
            let full = bench.components()?.full_rank();
            ensure!(
                (1..=full).contains(&rank),
                "--rank {rank}: expected 1 to {full}, the components that the model has"
            );
            make(Change::Rank(rank))?
        }
    };
    let rank = match recipe.change {
        Change::Rank(rank) => Some(rank),
        Change::Nothing | Change::Fold => None,
    };
    let (loss, f32_bytes) = (bench.loss(&path)?, bench.f32_bytes());
    let bytes = drr::model::amend(&path, output, |bytes| {
        let mut provenance = bench.form().spec.provenance.clone();
        let compression = json!({
            "folded": folded, "rank": rank, "grids": grid.name().to_lowercase(), "decoder": decoder.name(),
            "bytes": bytes, "f32_bytes": f32_bytes, "max_error": loss.max_error,
            "rms_error": loss.rms_error, "psnr_loss_db": loss.psnr_loss,
        });
        provenance.insert("compression".into(), compression);
        provenance
    })?;
    Ok(Outcome { bytes, folded, rank, measured: Some(Measured { loss, f32_bytes }) })
}

/// Finds out before the work rather than after it whether `output` can be written.
fn check_output(output: &Path, form: &Form) -> Result<()> {
    ensure!(!output.is_dir(), "cannot write {}: it is a folder", output.display());
    Writer::create(output, form.spec.clone(), GridPrecision::F32)?;
    Ok(())
}
